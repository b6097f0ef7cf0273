"""The table scene x layer: what saves where, together and alone, and whether the product may be used there."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

import jinja2
from markupsafe import Markup

from deltastack import formatting
from deltastack.outcomes import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

POINTS = {"at_capacity": "at full load", "at_trace": "at today's load"}
USED = {Verdict.HOLDS: "may be used", Verdict.FAILS: "may not be used"}
UNDECIDED = "depends on the parameters"


class Cell(NamedTuple):
    """What one layer, or all of them, saves: in words, and the style of it."""

    words: str
    ends: str
    tone: str


class Row(NamedTuple):
    """One scene at one operating point."""

    scene: str
    operating_point: str
    layers: tuple[Cell, ...]
    joint: Cell
    used: str
    tone: str
    """``holds``, ``fails`` or ``undecided``."""
    gap: str
    why: str


def section(found: Sequence[Mapping[str, Any]]) -> Markup:
    """The section of the page; empty where no scene was computed.

    Args:
        found: ``scenes`` of reports/summary.json: a line a scene and operating point.
    """
    if not found:
        return Markup()
    layers = list(dict.fromkeys(name for line in found for name in line["layers"]))
    text = (files("deltastack.report.html") / "scene_table.html").read_text(encoding="utf-8")
    room = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    names = [name.replace("_", " ") for name in layers]
    return Markup(room.from_string(text).render(layers=names, rows=rows(found, layers)))  # noqa: S704 - rendered here, escaped


def rows(found: Sequence[Mapping[str, Any]], layers: Sequence[str]) -> list[Row]:
    """One row a line, a cell for each of ``layers``; a layer that a scene does not have is a dash."""
    return [
        Row(
            scene=str(line["scene"]).replace("_", " "),
            operating_point=POINTS[line["operating_point"]],
            layers=tuple(_cell(line["layers"].get(name)) for name in layers),
            joint=_cell(line["joint"]),
            used=USED.get(line["verdict"], UNDECIDED),
            tone=str(line["verdict"]),
            gap=formatting.points(line["gap"]),
            why=line.get("why") or "",
        )
        for line in found
    ]


def _cell(said: Mapping[str, Any] | None) -> Cell:
    if said is None or said["delta"] is None:
        return Cell("–", (said or {}).get("reason") or "", "")
    delta, low, high = said["delta"], said["lo"], said["hi"]
    flat = low is None or low == high
    ends = "" if flat else f"{formatting.percent(low)} to {formatting.percent(high)}"
    known = delta if flat or low > 0 or high < 0 else 0.0
    return Cell(formatting.change(delta), ends, "save" if known > 0 else "lose" if known < 0 else "")
