"""Where the resources go: the base by component."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from deltastack.model import Component, OperatingPoint, Resource
from deltastack.report.figures.base import PALETTE, Figure, said, sized
from deltastack.report.text import formatting

if TYPE_CHECKING:
    from deltastack.analysis.results import Results
    from deltastack.model import Bench


def anatomy(results: Results, bench: Bench, operating_point: OperatingPoint) -> Figure:
    """Shares of the base usage by component: a layer cannot save more than the components it touches (Amdahl)."""
    base = results.baseline
    mine = base[(base["bench"] == bench) & (base["operating_point"] == operating_point) & (base["replicate"] == 0)].dropna(
        subset=["amount"]
    )
    total = mine.groupby("resource")["amount"].transform("sum")
    rows = mine.assign(share=100 * mine["amount"] / total.where(total > 0))[["resource", "component", "share"]].dropna()
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
        caption=f"{formatting.BASIS[operating_point].capitalize()}. A layer that touches one component saves at most its share.",
        chart=sized(chart, 34 * max(rows["resource"].nunique(), 1)),
        rows=rows.reset_index(drop=True),
    )
