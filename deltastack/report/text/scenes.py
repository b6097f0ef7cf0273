"""What saves where, in a line a scene: the joint saving, each layer alone, and whether the product may be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ALONE = 2
"""Scenes from which on the lines are printed: the headline tells of one."""
POINTS = {"at_capacity": "at capacity", "at_trace": "at its trace"}
USED = {"holds": "the product may be used", "fails": "the product may not be used"}
UNDECIDED = "whether the product may be used depends on the parameters"


def scene_lines(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line a scene and operating point, as reports/summary.json has them; none where there is the headline's scene alone."""
    if len({line["scene"] for line in found}) < ALONE:
        return []
    return [_line(line) for line in found]


def _line(line: Mapping[str, Any]) -> str:
    where = f"scene {line['scene']}, {POINTS[line['operating_point']]}"
    gap = "gap not known" if line["gap"] is None else f"gap {100 * line['gap']:+.1f} points"
    gap_words = ", ".join(filter(None, (gap, line.get("why"))))
    word = USED.get(line["verdict"], UNDECIDED)
    alone = ", ".join(f"{name} {_percent(cell['delta'])}" for name, cell in line["layers"].items())
    return f"{where}: {_percent(line['joint']['delta'])} of energy together ({alone}); {word} ({gap_words})"


def _percent(delta: float | None) -> str:
    return "-" if delta is None else f"{100 * delta:+.1f} %"
