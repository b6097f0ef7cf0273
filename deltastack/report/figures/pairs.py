"""Which pair of layers breaks the product rule: the heat map of log interactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import pandas as pd

from deltastack import formatting
from deltastack.analysis.attribution import ROUNDING, SIGNIFICANT_P
from deltastack.report.figures.base import INK, LOSES, SAVES, Figure, said, sized

if TYPE_CHECKING:
    from deltastack.analysis.analysis import FactorialAnalysis


def interactions(a: FactorialAnalysis) -> Figure:
    """Log interaction of every pair; a star marks one that is significant (Holm), or whose sign is certain under the model."""
    f = a.factorial
    rows = pd.DataFrame(
        [
            {
                "first": one.replace("_", " "),
                "second": two.replace("_", " "),
                "interaction": p.interaction.value,
                "low": p.interaction.low,
                "high": p.interaction.high,
                "p_holm": p.p_holm,
                "label": f"{p.interaction.value:+.3f}{' *' * p.sure}" if abs(p.interaction.value) >= ROUNDING else "0",
            }
            for p in a.pairs
            for one, two in ((p.first, p.second), (p.second, p.first))
        ]
    )
    return Figure(
        name=f"interactions-{f.bench}-{f.operating_point}",
        title=f"Which pair breaks the product rule: {f.bench} bench, {said(f.operating_point)}",
        caption=(
            f"Log interaction of {formatting.resource(f.bench, f.resource)}, "
            "ln(both) - ln(first) - ln(second) + ln(base). Above 0 (red): a "
            "pair saves less together than the product predicts; below 0 (green): more. A star: the interval does not hold 0 "
            f"(measured: Holm's p below {SIGNIFICANT_P} too)."
        ),
        chart=_heat(rows, [x.replace("_", " ") for x in f.layers]) if len(rows) else alt.Chart(rows),
        rows=rows,
    )


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
