"""Configurations that violate the latency SLOs: a saving at the trace's request rate is not usable there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from deltastack.errors import EvidenceError
from deltastack.model import Bench, OperatingPoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BASE = "base"


class SloViolation(NamedTuple):
    """A cell (``model.cell_name``) or a technique alone (``LAYER/TECHNIQUE``) that violates the latency SLOs."""

    bench: Bench
    operating_point: OperatingPoint
    subject: str
    draws: int
    """Draws of the model in which it does."""
    of: int
    words: str
    """What it violates in the first of them."""


def violations(facts: Mapping[str, Any], bench: Bench, where: str, layer: str | None = None) -> tuple[SloViolation, ...]:
    """Read ``goals`` of the JSON beside a table; empty where there is no such entry.

    Args:
        facts: The JSON.
        bench: Whose table it is.
        where: Its file, for the message.
        layer: The layer of a table of techniques; None for a factorial.

    Raises:
        EvidenceError: Entries of another form.
    """
    head = f"{layer}/" if layer else ""
    try:
        return tuple(
            SloViolation(
                bench, OperatingPoint(g["operating_point"]), head + str(g["cell"]), int(g["draws"]), int(g["of"]), str(g["words"])
            )
            for g in facts.get("goals", ())
        )
    except (ValueError, KeyError, TypeError) as error:
        raise EvidenceError(
            f"{where}: 'goals' holds entries of another form ({error!r}): dvc repro the stage that writes it"
        ) from error


def describe(every: Iterable[SloViolation], bench: Bench, operating_point: OperatingPoint, subject: str) -> str | None:
    """What ``subject`` violates, in words; None where it meets every SLO.

    >>> one = SloViolation(Bench.FLEET, OperatingPoint.AT_TRACE, "idle", 2, 5, "TTFT p99 4 s > 3 s")
    >>> at = (Bench.FLEET, OperatingPoint.AT_TRACE)
    >>> describe([one], *at, "idle"), describe([one], *at, "storage")
    ('violates the SLO in 2 of 5 draws (TTFT p99 4 s > 3 s)', None)
    """
    here = {x.subject: x for x in every if (x.bench, x.operating_point) == (bench, operating_point)}
    mine = here.get(subject)
    if mine is None:
        return None
    often = "" if mine.draws == mine.of else f" in {mine.draws} of {mine.of} draws"
    too = ", as the base does" if BASE in here and subject != BASE else ""
    return f"violates the SLO{often} ({mine.words}){too}"
