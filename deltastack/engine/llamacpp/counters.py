"""What the engine counts: tokens computed and taken from the cache, tokens generated and drafted, decode calls.

One answer carries its own counts (``timings``); ``/metrics`` carries the sums since the start. Both are whole numbers that the
engine counts itself, so that the same requests give the same counts on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from deltastack.errors import EvidenceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PREFIX = "llamacpp:"


class Count(NamedTuple):
    """One count; None with the reason where the engine gives none."""

    amount: int | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCounts:
    """Counts of one answer [tokens]."""

    computed: int
    """Prompt tokens that the engine computed."""
    cached: int
    """Prompt tokens whose keys and values were there already."""
    generated: int
    drafted: Count
    """Tokens that a draft proposed; none without speculative decoding."""
    accepted: Count

    @property
    def prompt(self) -> int:
        """Tokens of the prompt."""
        return self.computed + self.cached


def of_answer(body: Mapping[str, Any]) -> RequestCounts:
    """Counts in the body of a ``/completion`` or ``/v1/chat/completions`` answer.

    Raises:
        EvidenceError: The body has no ``timings``, or they lack a count.
    """
    timings = body.get("timings")
    if not isinstance(timings, dict):
        raise EvidenceError(
            f"an answer without 'timings' (it has: {', '.join(sorted(body)[:6])}): wanted one of llama.cpp's server"
        )
    missing = [k for k in ("prompt_n", "cache_n", "predicted_n") if k not in timings]
    if missing:
        raise EvidenceError(f"'timings' of an answer lack {', '.join(missing)}: this engine counts otherwise than the pinned one")
    return RequestCounts(
        computed=_whole(timings["prompt_n"], "prompt_n"),
        cached=_whole(timings["cache_n"], "cache_n"),
        generated=_whole(timings["predicted_n"], "predicted_n"),
        drafted=_draft(timings, "draft_n"),
        accepted=_draft(timings, "draft_n_accepted"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCounts:
    """Sums since the engine started; the difference of two is what happened between them."""

    prompt_tokens_total: int
    """Prompt tokens computed, without cached ones."""
    prompt_tokens_cached_total: int
    tokens_predicted_total: int
    n_decode_total: int
    """Calls that compute a batch of tokens, without those of speculative decoding and of images."""
    spec_decode_num_draft_tokens_total: int
    spec_decode_num_accepted_tokens_total: int
    spec_decode_num_drafts_total: int

    def __sub__(self, before: EngineCounts) -> EngineCounts:
        """What was counted since ``before``.

        Raises:
            EvidenceError: A count fell: the engine was started anew in between.
        """
        parts = {f.name: getattr(self, f.name) - getattr(before, f.name) for f in fields(self)}
        fell = sorted(name for name, amount in parts.items() if amount < 0)
        if fell:
            raise EvidenceError(
                f"{fell[0]} fell by {-parts[fell[0]]}: the engine was started anew between two readings; read again"
            )
        return EngineCounts(**parts)


def of_metrics(text: str) -> EngineCounts:
    """Counts in the text of ``/metrics``.

    Raises:
        EvidenceError: A counter is not there; all are named.
    """
    found = dict(_samples(text.splitlines()))
    names = [f.name for f in fields(EngineCounts)]
    missing = [n for n in names if n not in found]
    if missing:
        raise EvidenceError(
            f"/metrics lacks {', '.join(missing)}: start the engine with endpoint_metrics=true, in the pinned version"
        )
    return EngineCounts(**{n: found[n] for n in names})


def _samples(lines: Iterable[str]) -> Iterable[tuple[str, int]]:
    for line in lines:
        name, _, amount = line.partition(" ")
        if name.startswith(_PREFIX):
            yield name.removeprefix(_PREFIX), _whole(amount, name)


def _whole(value: Any, name: str) -> int:
    """A count as an engine tells it.

    Raises:
        EvidenceError: No number.
    """
    try:
        return round(float(value))
    except (TypeError, ValueError, OverflowError) as error:
        raise EvidenceError(f"{name} is {str(value)[:40]!r}, wanted a count: this engine counts otherwise") from error


def _draft(timings: Mapping[str, Any], key: str) -> Count:
    if key in timings:
        return Count(_whole(timings[key], key))
    return Count(None, "the answer was not decoded speculatively")
