"""What cells answered, held against the base: exact match, distance of log probabilities, right answers.

With l_i and m_i the log probabilities of the tokens that base and cell chose, over the n leading places at which they chose the
same token in the same context, the distance is mean(|l_i - m_i|) [nat]; the first place that differs ends the comparison, because
after it the contexts are different ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deltastack.model import Bench, Evidence
from deltastack.testbed import quality

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deltastack.engine.asking import Request
    from deltastack.engine.client import Record

Row = tuple[object, ...]
ONE_RUN = "one deterministic run has no interval"
NO_LOGPROBS = "the answers carry no log probabilities: add logprobs (or n_probs) to load.fields"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What one cell answered: texts by request, and chosen tokens with their log probabilities."""

    texts: tuple[str, ...]
    tokens: tuple[tuple[str, ...], ...]
    logprobs: tuple[tuple[float, ...], ...]
    answers: tuple[str, ...]
    """To the questions, in their order."""

    @classmethod
    def of_records(cls, records: Sequence[Record], answered: Sequence[Record]) -> Output:
        """What a run answered."""
        return cls(
            texts=tuple(r.text for r in records),
            tokens=tuple(r.tokens for r in records),
            logprobs=tuple(r.logprobs for r in records),
            answers=tuple(r.text for r in answered),
        )

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Output:
        """What ``as_json`` wrote."""
        return cls(
            texts=tuple(value["texts"]),
            tokens=tuple(map(tuple, value["tokens"])),
            logprobs=tuple(map(tuple, value["logprobs"])),
            answers=tuple(value["answers"]),
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def exact_match(base: Output, other: Output) -> float:
    """Share of requests with the same text."""
    same = [a == b for a, b in zip(base.texts, other.texts, strict=True)]
    return sum(same) / len(same)


def logprob_distance_nat(base: Output, other: Output) -> float | None:
    """Mean |difference| of the chosen tokens' log probabilities while the tokens agree; None where no answer carries any."""
    gaps: list[float] = []
    for tokens, theirs, logs, other_logs in zip(base.tokens, other.tokens, base.logprobs, other.logprobs, strict=True):
        for token, another, a, b in zip(tokens, theirs, logs, other_logs, strict=False):
            if token != another:
                break
            gaps.append(abs(a - b))
    return float(np.mean(gaps)) if gaps else None


def right(questions: Sequence[Request], output: Output) -> list[bool]:
    """Which questions with a known answer were answered rightly, spaces apart."""
    pairs = zip(questions, output.answers, strict=True)
    return [text.split() == q.answer.split() for q, text in pairs if q.answer is not None]


def rows(
    outputs: Mapping[str, Output], questions: Sequence[Request], *, host: str, canonical: bool, base: str = "base"
) -> list[Row]:
    """Rows of QUALITY: every cell against the base."""
    found: list[Row] = []
    for cell, output in outputs.items():
        if cell != base and base in outputs:
            tail = (Evidence.MEASURED, ONE_RUN, host, canonical)
            head = (Bench.ENGINE, cell)
            match = exact_match(outputs[base], output)
            found.append((*head, "exact_match", len(output.texts), 1.0, match, match - 1.0, None, None, *tail))
            found.append((*head, *_distance(outputs[base], output), *_why(outputs[base], output), host, canonical))
            found += _accuracy(head, questions, outputs[base], output, (host, canonical))
    return found


def _distance(base: Output, other: Output) -> Row:
    nat = logprob_distance_nat(base, other)
    places = sum(map(len, base.logprobs))
    return ("logprob_distance_nat", places or None, *((None, None, None) if nat is None else (0.0, nat, nat)), None, None)


def _why(base: Output, other: Output) -> Row:
    return (Evidence.MEASURED, NO_LOGPROBS if logprob_distance_nat(base, other) is None else ONE_RUN)


def _accuracy(head: Row, questions: Sequence[Request], base: Output, other: Output, tail: Row) -> list[Row]:
    if not base.answers or len(other.answers) != len(base.answers):
        return []
    before, after = right(questions, base), right(questions, other)
    if not before:
        return []
    change = quality.accuracy_change(before, after)
    figures = (float(np.mean(before)), float(np.mean(after)), change.change, change.low, change.high)
    return [(*head, "accuracy", len(before), *figures, Evidence.MEASURED, None, *tail)]
