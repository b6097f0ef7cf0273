"""Cells that serve late: a saving at the trace's own arrivals is none that a team could take if the latency goals are missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from deltastack.errors import EvidenceError
from deltastack.model import Bench, OperatingPoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

BASE = "base"


class Late(NamedTuple):
    """A cell (``model.cell_name``) or a technique alone (``LAYER/TECHNIQUE``) that misses the latency goals."""

    bench: Bench
    operating_point: OperatingPoint
    subject: str
    draws: int
    """In how many draws it does."""
    of: int
    words: str
    """What it misses in the first of them."""


def late(facts: Mapping[str, Any], bench: Bench, where: str, layer: str | None = None) -> tuple[Late, ...]:
    """What ``goals`` of the JSON beside a table says; nothing where it says nothing.

    Args:
        facts: The JSON.
        bench: Whose table it is.
        where: Its file, for the message.
        layer: The layer of a table of techniques; None for a factorial.

    Raises:
        EvidenceError: Entries that are none.
    """
    head = f"{layer}/" if layer else ""
    try:
        return tuple(
            Late(
                bench, OperatingPoint(g["operating_point"]), head + str(g["cell"]), int(g["draws"]), int(g["of"]), str(g["words"])
            )
            for g in facts.get("goals", ())
        )
    except (ValueError, KeyError, TypeError) as error:
        raise EvidenceError(f"{where}: 'goals' holds no missed goals ({error!r}): dvc repro the stage that writes it") from error


def said(every: Iterable[Late], bench: Bench, operating_point: OperatingPoint, subject: str) -> str | None:
    """What ``subject`` misses, in words; None where it misses nothing.

    >>> one = Late(Bench.FLEET, Basis.AT_TRACE, "idle", 2, 5, "TTFT p99 4 s > 3 s")
    >>> said([one], Bench.FLEET, Basis.AT_TRACE, "idle"), said([one], Bench.FLEET, Basis.AT_TRACE, "storage")
    ('misses the latency goals in 2 of 5 draws (TTFT p99 4 s > 3 s)', None)
    """
    here = {x.subject: x for x in every if (x.bench, x.operating_point) == (bench, operating_point)}
    mine = here.get(subject)
    if mine is None:
        return None
    often = "" if mine.draws == mine.of else f" in {mine.draws} of {mine.of} draws"
    too = ", as the base does" if BASE in here and subject != BASE else ""
    return f"misses the latency goals{often} ({mine.words}){too}"
