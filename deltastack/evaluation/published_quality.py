"""What techniques do to the answers on the fleet: exact, as others published it, or not known.

    change = value - base        ends = change -+ z sqrt(base (1 - base) / n + value (1 - value) / n)

with n questions: the pairing of the answers is not published, so base and value count as two independent samples, and the
interval is wider than that of the same questions asked twice. A cell with one technique that is not exact has its change;
with several nobody measured them together, and the change is not known.

Source: ``quality`` of each technique in params/layers. A simulation answers no question.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from deltastack import machine_fingerprint
from deltastack.model import Bench, Evidence, cell_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from deltastack.layers.techniques import ConfiguredTechnique, Quoted

Z = 1.96
"""Of a two-sided interval of 95 %."""
NOT_PUBLISHED = "nobody published what it does to the answers, or nobody read it for this project"
UNCHANGED = "no arithmetic is changed"


class Answer(NamedTuple):
    """What one technique or cell does to one metric."""

    metric: str
    questions: int | None
    base: float | None
    value: float | None
    change: float | None
    low: float | None
    high: float | None
    evidence: Evidence
    reason: str | None


def of_technique(one: ConfiguredTechnique) -> list[Answer]:
    """What a technique with its values does to the answers, one entry a metric."""
    if one.quality == "exact":
        return [Answer("accuracy", None, None, None, 0.0, 0.0, 0.0, Evidence.SIMULATED, UNCHANGED)]
    values = one.params.model_dump()
    fits = [q for q in one.quality or () if all(values.get(k) == v for k, v in q.of.items())]
    return [_answer(q) for q in fits] or [_unknown(NOT_PUBLISHED)]


def of_cell(parts: Sequence[tuple[str, list[Answer]]]) -> list[Answer]:
    """What techniques do together, from the name and the answers of each: that of the only one that is not exact.

    >>> of_cell([])[0].change
    0.0
    """
    changing = [(name, found) for name, found in parts if any(a.change != 0 or a.reason != UNCHANGED for a in found)]
    if not changing:
        return [Answer("accuracy", None, None, None, 0.0, 0.0, 0.0, Evidence.SIMULATED, UNCHANGED)]
    if len(changing) > 1:
        return [_unknown(f"{' and '.join(name for name, _ in changing)} change the answers, and nobody published both together")]
    return changing[0][1]


def technique_rows(layer: str, held: Iterable[ConfiguredTechnique], *, canonical: bool) -> list[tuple[object, ...]]:
    """Rows of QUALITY of a layer's techniques, each alone."""
    return [row for t in held for row in _rows(f"{layer}/{t.name}", of_technique(t), canonical)]


def cell_rows(
    on: Mapping[str, Sequence[ConfiguredTechnique]], cells: Iterable[str], *, canonical: bool
) -> list[tuple[object, ...]]:
    """Rows of QUALITY of sets of layers, the base apart.

    Args:
        on: By layer, the techniques that a cell with it switches on.
        cells: Their names (``model.cell_name``).
        canonical: Whether the run is.
    """
    found = []
    for cell in cells:
        names = [name for name in on if name in cell_of(cell)]
        parts = [(t.name, of_technique(t)) for name in names for t in on[name]]
        found += _rows(cell, of_cell(parts), canonical) if names else []
    return found


def _rows(subject: str, found: Iterable[Answer], canonical: bool) -> list[tuple[object, ...]]:  # noqa: FBT001 - a column
    return [(Bench.FLEET, subject, *a, machine_fingerprint.SIMULATED, canonical) for a in found]


def _answer(q: Quoted) -> Answer:
    change = q.value - q.base
    said = f"{q.model}: {q.source}, {q.date}"
    if q.questions is None:
        reason = f"{said}; without its number of questions there is no interval"
        return Answer(q.metric, None, q.base, q.value, change, None, None, Evidence.PUBLISHED, reason)
    half = Z * math.sqrt((q.base * (1 - q.base) + q.value * (1 - q.value)) / q.questions)
    return Answer(q.metric, q.questions, q.base, q.value, change, change - half, change + half, Evidence.PUBLISHED, said)


def _unknown(reason: str) -> Answer:
    return Answer("accuracy", None, None, None, None, None, None, Evidence.ASSUMED, reason)
