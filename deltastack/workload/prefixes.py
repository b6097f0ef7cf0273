"""How often prefixes come again in a trace that tells the hashes of its blocks: observed, where others are assumed.

A request matches the longest run of its leading blocks that an earlier request brought, of ``BLOCK_TOKENS`` tokens each,
one token of the prompt left over at least. Over all requests:

    hit_rate               share of the requests that match a block or more
    covered_fraction       mean share of such a request's prompt that it matches
    mean_reuse_interval_s  mean time since the last block of the match was last used

Source: block hashes as in the Mooncake traces (Qin et al., FAST 2025). A cache that forgets nothing would see these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

BLOCK_TOKENS = 512
"""Tokens behind one hash. Source: Mooncake trace description, FAST 2025 artefact."""


class Blocks(NamedTuple):
    """One request as a Mooncake trace has it."""

    time_s: float
    prompt_tokens: int
    output_tokens: int
    hashes: tuple[int, ...]


class Reuse(NamedTuple):
    """What was observed."""

    hit_rate: float
    covered_fraction: float
    mean_reuse_interval_s: float


def reuse(rows: Iterable[Blocks], block_tokens: int = BLOCK_TOKENS) -> Reuse:
    """How often prefixes come again, requests in order of arrival; nothing comes again in none of them.

    >>> first, again = Blocks(0.0, 1024, 1, (7, 8)), Blocks(10.0, 2048, 1, (7, 8, 9, 10))
    >>> reuse([first, again])
    Reuse(hit_rate=0.5, covered_fraction=0.5, mean_reuse_interval_s=10.0)
    """
    last: dict[int, float] = {}
    count, shares, gaps_s = 0, [], []
    for row in rows:
        count += 1
        known = 0
        while known < len(row.hashes) and row.hashes[known] in last:
            known += 1
        if known:
            shares.append(min(known * block_tokens, row.prompt_tokens - 1) / row.prompt_tokens)
            gaps_s.append(row.time_s - last[row.hashes[known - 1]])
        last.update(dict.fromkeys(row.hashes, row.time_s))
    if not shares:
        return Reuse(0.0, 0.0, 0.0)
    return Reuse(len(shares) / count, sum(shares) / len(shares), sum(gaps_s) / len(gaps_s))


class Seen(NamedTuple):
    """What of one request's prompt came before."""

    prefix_tokens: float
    """Leading tokens that an earlier request brought, one token of the prompt left over at least."""
    reuse_tokens: float
    """Tokens of all distinct blocks used since every block of the prefix was, its own among them: room in which a cache that
    forgets what it used longest ago (LRU) still has it. Source: Mattson et al., IBM Systems J. 9 (1970)."""
    reuse_requests: float
    """Earlier requests that brought the last block of the prefix."""


class Recency:
    """Which blocks were used, and how long ago in tokens; fed request by request in order of arrival.

    >>> seen = Recency(block_tokens=512)
    >>> [tuple(seen.take(hashes, 2048)) for hashes in ((1, 2), (3,), (1, 2))]
    [(0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (1024.0, 1536.0, 1.0)]
    """

    def __init__(self, block_tokens: int) -> None:
        """Nothing was seen yet."""
        self._block_tokens = block_tokens
        self._last: dict[int, int] = {}
        self._uses: dict[int, int] = {}
        self._tree: list[int] = [0]
        """Binary indexed tree over requests: blocks that each was the last to use (Fenwick, Software 24, 1994)."""

    def take(self, hashes: tuple[int, ...], prompt_tokens: float) -> Seen:
        """What of ``hashes`` came before; they are used now."""
        known = 0
        while known < len(hashes) and hashes[known] in self._last:
            known += 1
        found = Seen(0.0, 0.0, 0.0)
        if known:
            last = hashes[known - 1]
            oldest = min(self._last[h] for h in hashes[:known])
            blocks = len(self._last) - self._until(oldest - 1)
            prefix = min(known * self._block_tokens, max(prompt_tokens - 1, 0))
            found = Seen(float(prefix), float(blocks * self._block_tokens), float(self._uses[last]))
        self._use(set(hashes))
        return found

    def _use(self, hashes: set[int]) -> None:
        now = len(self._tree)
        self._tree.append(self._until(now - 1) - self._until(now - (now & -now)))
        moved: dict[int, int] = {now: len(hashes)}
        for h in hashes:
            if (was := self._last.get(h)) is not None:
                moved[was] = moved.get(was, 0) - 1
            self._last[h] = now
            self._uses[h] = self._uses.get(h, 0) + 1
        for at, count in moved.items():
            place = at
            while place < len(self._tree):
                self._tree[place] += count
                place += place & -place

    def _until(self, place: int) -> int:
        """Blocks last used by request 1 .. ``place``."""
        total = 0
        while place > 0:
            total += self._tree[place]
            place -= place & -place
        return total
