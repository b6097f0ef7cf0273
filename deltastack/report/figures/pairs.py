"""Which pair of layers breaks the product: the heat map of log interactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import pandas as pd

from deltastack.report.figures.base import INK, LOSES, SAVES, Figure, said, sized
from deltastack.report.text import formatting

if TYPE_CHECKING:
    from deltastack.analysis.attribution import Pair
    from deltastack.analysis.factorial import Factorial
    from deltastack.analysis.results import Results

SURE_P = 0.05
ROUNDING = 5e-4
"""Below it an interaction prints as 0."""


def interactions(results: Results, f: Factorial) -> Figure:
    """Log interaction of every pair; a star where it is surely none of chance (Holm), or where the model is sure of its sign."""
    rows = pd.DataFrame(
        [
            {
                "first": a.replace("_", " "),
                "second": b.replace("_", " "),
                "interaction": p.interaction.value,
                "low": p.interaction.low,
                "high": p.interaction.high,
                "p_holm": p.p_holm,
                "label": f"{p.interaction.value:+.3f}{' *' * sure(p)}" if abs(p.interaction.value) >= ROUNDING else "0",
            }
            for p in results.pairs(f)
            for a, b in ((p.first, p.second), (p.second, p.first))
        ]
    )
    return Figure(
        name=f"interactions-{f.bench}-{f.operating_point}",
        title=f"Which pair breaks the product: {f.bench} bench, {said(f.operating_point)}",
        caption=(
            f"Log interaction of {formatting.RESOURCE[f.resource]}, "
            "ln(both) - ln(first) - ln(second) + ln(base). Above 0 (red): a "
            "pair saves less together than the product says; below 0 (green): more. A star: the interval does not hold 0 "
            f"(measured: Holm's p below {SURE_P} too)."
        ),
        chart=_heat(rows, [x.replace("_", " ") for x in f.layers]) if len(rows) else alt.Chart(rows),
        rows=rows,
    )


def sure(p: Pair) -> bool:
    """Whether the sign of an interaction is beyond doubt, and no rounding.

    Holm's p is of the interaction averaged over the settings of the others, which may have another size and sign: the interval of
    the one that is shown has to exclude 0 too.
    """
    if abs(p.interaction.value) < ROUNDING or (p.p_holm is not None and p.p_holm >= SURE_P):
        return False
    e = p.interaction
    return e.low is not None and e.high is not None and not e.low <= 0 <= e.high


def _heat(rows: pd.DataFrame, order: list[str]) -> alt.LayerChart:
    most = max(float(rows["interaction"].abs().max()), 1e-9)
    x = alt.X("first:N", title=None, sort=order, axis=alt.Axis(labelAngle=-25))
    y = alt.Y("second:N", title=None, sort=order)
    color = alt.Color(
        "interaction:Q",
        title="log interaction",
        scale=alt.Scale(domain=[-most, 0, most], range=[SAVES, "#b9c0c7", LOSES], interpolate="rgb"),
    )
    squares = alt.Chart(rows).mark_rect(opacity=0.75).encode(x=x, y=y, color=color)
    labels = alt.Chart(rows).mark_text(color=INK, fontSize=12, fontWeight="bold").encode(x=x, y=y, text="label:N")
    chart: alt.LayerChart = sized(squares + labels, 60 * len(order))
    return chart
