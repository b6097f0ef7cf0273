"""How often prefixes come again in a trace that tells the hashes of its blocks: observed, where others are assumed.

A request matches the longest run of its leading blocks that an earlier request brought, of ``MOONCAKE_BLOCK_TOKENS`` tokens each,
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


def reuse(rows: Iterable[Blocks]) -> Reuse:
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
            shares.append(min(known * BLOCK_TOKENS, row.prompt_tokens - 1) / row.prompt_tokens)
            gaps_s.append(row.time_s - last[row.hashes[known - 1]])
        last.update(dict.fromkeys(row.hashes, row.time_s))
    if not shares:
        return Reuse(0.0, 0.0, 0.0)
    return Reuse(len(shares) / count, sum(shares) / len(shares), sum(gaps_s) / len(gaps_s))
