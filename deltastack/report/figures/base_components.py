"""Where the resources go: the base by component."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import pandas as pd

from deltastack import formatting
from deltastack.model import Component, OperatingPoint, Resource
from deltastack.report.figures.base import PALETTE, Figure, said, sized

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis
    from deltastack.model import Bench


def anatomy(analysis: Analysis, bench: Bench, operating_point: OperatingPoint) -> Figure:
    """Shares of the base usage by component: a layer cannot save more than the components it touches (Amdahl)."""
    mine = [s for s in analysis.base_shares if (s.bench, s.operating_point) == (bench, operating_point)]
    rows = pd.DataFrame(
        [(str(s.resource), str(s.component), 100 * s.share) for s in mine], columns=["resource", "component", "share"]
    )
    names = {str(r): formatting.resource(bench, r) for r in Resource}
    rows["name"] = rows["resource"].map(names)
    order = [str(c) for c in Component]
    chart = (
        alt.Chart(rows)
        .mark_bar()
        .encode(
            y=alt.Y("name:N", title=None, sort=list(names.values())),
            x=alt.X("share:Q", title="% of the base", stack="zero", scale=alt.Scale(domain=[0, 100])),
            color=alt.Color("component:N", scale=alt.Scale(domain=order, range=PALETTE), sort=order, title=None),
            order=alt.Order("position:Q"),
        )
        .transform_calculate(position=f"indexof({order}, datum.component)")
    )
    return Figure(
        name=f"anatomy-{bench}-{operating_point}",
        title=f"What the base spends, by component: {bench} bench, {said(operating_point)}",
        caption=(
            f"{formatting.OPERATING_POINT[operating_point].capitalize()}. "
            "A layer that touches one component saves at most its share."
        ),
        chart=sized(chart, 34 * max(rows["resource"].nunique(), 1)),
        rows=rows.reset_index(drop=True),
    )
