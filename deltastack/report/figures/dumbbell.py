"""Spreadsheet against together: what the product of single savings promises, and what a run with all layers gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import pandas as pd

from deltastack import formatting
from deltastack.model import OperatingPoint
from deltastack.outcomes import Formula
from deltastack.report.figures.base import INK, JOINT, LOSES, NEUTRAL, SAVES, Figure, themed

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis, FactorialAnalysis

WIDTH, STEP = 300, 40
PAIR = 2
MOST_PAIRS = 2
"""Pairs of layers shown beside the whole stack, for each bench and load: those with the largest gap."""
TOO_MUCH, TOO_LITTLE, RIGHT = "spreadsheet promises too much", "too little", "what is true"
_LOAD = {
    OperatingPoint.AT_CAPACITY: "full load",
    OperatingPoint.AT_TRACE: "today's load",
    OperatingPoint.PER_SESSION: "this machine",
}


def dumbbell(analysis: Analysis) -> Figure:
    """One line a set of layers: a circle where the spreadsheet is, a diamond where the joint run is, the gap between them."""
    rows = pd.DataFrame([row for a in analysis.headlines for row in _rows(a)])
    return Figure(
        name="dumbbell",
        title="Spreadsheet ● against together ◆: the gap in points",
        caption="Circle: the product of what each layer alone leaves. Diamond: the layers run together. Bar: the gap, in points.",
        chart=_chart(rows) if len(rows) else alt.Chart(rows),
        rows=rows,
    )


def _rows(a: FactorialAnalysis) -> list[dict[str, Any]]:
    f, joint, product = a.factorial, a.joint, a.totals[Formula.INDEPENDENT].saving
    if joint is None or product is None or len(f.layers) == 1:
        return []
    where = f"{formatting.resource(f.bench, f.resource)}, {_LOAD[f.operating_point]} ({f.bench})"
    pairs = [c for c in a.cells if c.formula is Formula.INDEPENDENT and len(c.layers) == PAIR < len(f.layers)]
    pairs.sort(key=lambda c: -abs(c.predicted - c.observed))
    found = [_row(where, "all layers", product.value, joint.value)]
    return [*found, *(_row(where, " + ".join(c.layers).replace("_", " "), c.predicted, c.observed) for c in pairs[:MOST_PAIRS])]


def _row(where: str, cell: str, predicted: float, together: float) -> dict[str, Any]:
    gap = round(100 * (predicted - together), 1) + 0.0
    return {
        "where": where,
        "layers": cell,
        "spreadsheet": 100 * predicted,
        "together": 100 * together,
        "gap": gap,
        "label": f"{gap:+.1f}" if gap else "0.0",
        "side": TOO_MUCH if gap > 0 else TOO_LITTLE if gap < 0 else RIGHT,
    }


def _chart(rows: pd.DataFrame) -> Any:
    names = alt.Axis(labelLimit=170, labelFontSize=12, ticks=False, domain=False, labelPadding=8)
    y = alt.Y("layers:N", title=None, sort=None, axis=names)
    side = alt.Color("side:N", title=None, scale=alt.Scale(domain=[TOO_MUCH, TOO_LITTLE, RIGHT], range=[LOSES, SAVES, NEUTRAL]))
    base = alt.Chart(rows)
    axis = alt.X("spreadsheet:Q", title="saving, % of the base (below 0: costs)", scale=alt.Scale(zero=True, nice=True))
    zero = alt.Chart(rows).mark_rule(color=INK, strokeDash=[3, 3], opacity=0.6).encode(x=alt.datum(0))
    bar = base.mark_bar(height=7, cornerRadius=3, opacity=0.55).encode(x=axis, x2="together:Q", y=y, color=side)
    circle = base.mark_point(filled=True, size=150, opacity=1, color=NEUTRAL).encode(x="spreadsheet:Q", y=y)
    diamond = base.mark_point(filled=True, size=170, opacity=1, color=JOINT, shape="diamond").encode(x="together:Q", y=y)
    label = base.mark_text(dy=-13, fontSize=12, color=INK).encode(x="together:Q", y=y, text="label:N")
    layered = alt.layer(zero, bar, circle, diamond, label).properties(width=WIDTH, height=alt.Step(STEP))
    header = alt.Header(title=None, labelAnchor="start", labelColor=INK, labelFontSize=12, labelFontWeight="bold", labelPadding=4)
    places = list(dict.fromkeys(rows["where"]))
    facet = layered.facet(facet=alt.Facet("where:N", title=None, sort=places, header=header), columns=1)
    return themed(facet.resolve_scale(y="independent"))
