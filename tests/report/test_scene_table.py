"""The table scene x layer of the page."""

from __future__ import annotations

from typing import Any

from deltastack.report.html import scene_table


def cell(delta: float | None, low: float | None = None, high: float | None = None, reason: str | None = None) -> dict[str, Any]:
    """What a layer saves, as reports/summary.json has it."""
    return {"delta": delta, "lo": low, "hi": high, "reason": reason}


def line(**changed: Any) -> dict[str, Any]:
    """One scene at one operating point."""
    return {
        "scene": "vision_night",
        "operating_point": "at_capacity",
        "layers": {"storage": cell(0.1, 0.05, 0.2), "idle": cell(-0.02, -0.04, -0.01)},
        "joint": cell(0.08, -0.01, 0.2),
        "gap": 0.012,
        "verdict": "holds",
        "why": "holds in 19 of 20 draws",
    } | changed


def test_rows_by_hand() -> None:
    """A saving, a cost and a range across 0; a layer that a scene lacks is a dash, and so is a number that is not known."""
    other = line(verdict="undecided", layers={"idle": cell(None, reason="does not fit")}, gap=None, why=None)
    first, second = scene_table.rows([line(), other], ["storage", "idle"])

    assert (first.scene, first.operating_point, first.used) == ("vision night", "at full load", "may be used")
    assert [(c.words, c.ends, c.tone) for c in (*first.layers, first.joint)] == [
        ("+10.0 %", "+5.0 % to +20.0 %", "save"),
        ("-2.0 %", "-4.0 % to -1.0 %", "lose"),
        ("+8.0 %", "-1.0 % to +20.0 %", ""),
    ]
    assert [(c.words, c.ends) for c in second.layers] == [("–", ""), ("–", "does not fit")]
    assert (second.used, second.gap) == ("depends on the parameters", "–")


def test_the_section_says_when_the_product_may_be_used() -> None:
    """One row a line, with gap and draws; words of a scene are escaped; without a scene there is no section."""
    text = str(scene_table.section([line(), line(operating_point="at_trace", verdict="fails", scene="<b>")]))

    assert text.count("<tr>") == 3
    assert "gap +1.2 points; holds in 19 of 20 draws" in text
    assert '<span class="fails">may not be used</span>' in text
    assert "&lt;b&gt;" in text
    assert scene_table.section([]) == ""
