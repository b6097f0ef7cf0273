"""Earlier runs as small curves: one line of SVG a headline number, no axis, first and last value beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, EDGE = 160, 34, 4
PREFIX, SUFFIX = "delta_total.", ".joint"


class PastRun(NamedTuple):
    """An earlier run: when, and its headline numbers by dotted name."""

    created: str
    canonical: bool
    metrics: Mapping[str, float]


class Curve(NamedTuple):
    """One number over earlier runs, oldest first."""

    name: str
    readings: tuple[float, ...]
    first: str
    last: str
    """When the first and the last of them were made."""
    path: str
    """The ``points`` of an SVG polyline in a box of ``WIDTH`` x ``HEIGHT``."""


def curves(history: Sequence[PastRun], most: int) -> list[Curve]:
    """The joint savings of the last ``most`` canonical runs, those that were made at least twice."""
    runs = sorted((p for p in history if p.canonical), key=lambda p: p.created)[-most:]
    names = dict.fromkeys(n for p in runs for n in p.metrics if n.startswith(PREFIX) and n.endswith(SUFFIX))
    found = []
    for name in names:
        there = [(p.created, p.metrics[name]) for p in runs if name in p.metrics]
        if len(there) > 1:
            values = tuple(v for _, v in there)
            said = name.removeprefix(PREFIX).removesuffix(SUFFIX).replace(".", " ").replace("_", " ")
            found.append(Curve(said, values, there[0][0][:10], there[-1][0][:10], _points(values)))
    return found


def _points(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    span = high - low or 1.0
    middle = HEIGHT / 2 if high == low else None
    step = (WIDTH - 2 * EDGE) / (len(values) - 1)
    places = [
        (EDGE + i * step, middle if middle is not None else HEIGHT - EDGE - (v - low) / span * (HEIGHT - 2 * EDGE))
        for i, v in enumerate(values)
    ]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
