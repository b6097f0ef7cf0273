"""Figures from results: one Vega-Lite chart and the rows behind it each; the same spec feeds page, PNG, SVG and CSV.

Text and rules use one placeholder colour that the page replaces by the reader's text colour, so that a figure reads on
a light and on a dark page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import altair as alt
import pandas as pd

from deltastack.model import Basis, Component, Resource
from deltastack.report import words

if TYPE_CHECKING:
    from deltastack.model import Bench
    from deltastack.report.cells import Factorial
    from deltastack.report.results import Results

INK = "#767677"
"""Readable on white and on near-black; the page replaces it by its own text colour."""
SAVES, LOSES, NEUTRAL, JOINT = "#2a9d8f", "#d1495b", "#8d99ae", "#3a6ea5"
PALETTE = ["#3a6ea5", "#e9a23b", "#d1495b", "#2a9d8f", "#8d99ae", "#9b6a9e", "#c9c4b5"]
WIDTH = 640


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Figure:
    """A named figure: its words, its chart, its rows."""

    name: str
    title: str
    caption: str
    chart: alt.LayerChart | alt.Chart
    rows: pd.DataFrame


def figures(results: Results) -> list[Figure]:
    """Every figure that these results can carry, in the order of the page."""
    found = []
    for f in words.spoken(results):
        found += [waterfall(results, f), forest(results, f)]
    found += [anatomy(results, bench, basis) for bench in results.benches() for basis in Basis]
    if any(len(f.layers) > 1 for f in results.found):
        found.append(predicted(results))
    return [figure for figure in found if not figure.rows.empty]


def waterfall(results: Results, f: Factorial) -> Figure:
    """From the base through each layer's saving alone, the interaction, to the joint result; whiskers on the ends."""
    steps = _steps(results, f)
    x = alt.X("step:N", sort=list(steps["step"]), title=None, axis=alt.Axis(labelAngle=-25, labelLimit=140))
    color = alt.Color("kind:N", scale=alt.Scale(domain=["whole", "saves", "loses"], range=[JOINT, SAVES, LOSES]), title=None)
    y = alt.Y("from:Q", title="% of the base", scale=alt.Scale(zero=True))
    bars = alt.Chart(steps).mark_bar(size=46).encode(x=x, y=y, y2="to:Q", color=color)
    whiskers = alt.Chart(steps.dropna(subset=["low"])).mark_rule(color=INK, strokeWidth=2).encode(x=x, y="low:Q", y2="high:Q")
    labels = alt.Chart(steps).mark_text(dy=-8, color=INK, fontSize=12).encode(x=x, y="top:Q", text="label:N")
    title = f"Where the {words.RESOURCE[f.resource]} goes: {f.bench} bench, {_said(f.basis)}"
    caption = (
        f"{words.RESOURCE[f.resource].capitalize()} {words.BASIS[f.basis]}, base = 100 %. Each layer is its saving alone; the "
        "interaction is what the joint run saves more (green) or less (red) than the sum of the layers alone."
    )
    return Figure(
        name=f"waterfall-{f.bench}-{f.basis}",
        title=title,
        caption=caption,
        chart=_sized(bars + whiskers + labels, 300),
        rows=steps,
    )


def forest(results: Results, f: Factorial) -> Figure:
    """Δ of each layer alone, last in, and its Shapley share, with intervals."""
    rows = [
        {"layer": s.layer, "reading": name, "delta": 100 * e.value, "low": _scaled(e.low), "high": _scaled(e.high)}
        for s in results.shares(f)
        for name, e in (("alone", s.alone), ("last in", s.last_in), ("Shapley", s.shapley))
    ]
    frame = pd.DataFrame(rows)
    y = alt.Y("reading:N", title=None, sort=["alone", "last in", "Shapley"])
    color = alt.Color("reading:N", legend=None, scale=alt.Scale(range=PALETTE[:3]))
    x = alt.X("delta:Q", title=f"saving of {words.RESOURCE[f.resource]} [%]")
    zero = alt.Chart().mark_rule(color=INK, strokeDash=[4, 3]).encode(x=alt.datum(0))
    lines = alt.Chart().mark_rule(strokeWidth=3).encode(x="low:Q", x2="high:Q", y=y, color=color)
    points = alt.Chart().mark_point(filled=True, size=90).encode(x=x, y=y, color=color)
    chart = (
        alt.layer(zero, lines, points, data=frame)
        .properties(width=WIDTH - 120, height=70)
        .facet(row=alt.Row("layer:N", title=None, header=alt.Header(labelAngle=0, labelAlign="left", labelColor=INK)))
    )
    return Figure(
        name=f"forest-{f.bench}-{f.basis}",
        title=f"Savings of each layer, three readings: {f.bench} bench, {_said(f.basis)}",
        caption="Alone: only this layer on. Last in: added to all others. Shapley: averaged over all orders. Bars: intervals.",
        chart=_themed(chart),
        rows=frame,
    )


def anatomy(results: Results, bench: Bench, basis: Basis) -> Figure:
    """Shares of the base usage by component: a layer cannot save more than the components it touches (Amdahl)."""
    base = results.baseline
    mine = base[(base["bench"] == bench) & (base["basis"] == basis) & (base["replicate"] == 0)].dropna(subset=["amount"])
    total = mine.groupby("resource")["amount"].transform("sum")
    rows = mine.assign(share=100 * mine["amount"] / total.where(total > 0))[["resource", "component", "share"]].dropna()
    order = [str(c) for c in Component]
    chart = (
        alt.Chart(rows)
        .mark_bar()
        .encode(
            y=alt.Y("resource:N", title=None, sort=[str(r) for r in Resource]),
            x=alt.X("share:Q", title="% of the base", stack="zero", scale=alt.Scale(domain=[0, 100])),
            color=alt.Color("component:N", scale=alt.Scale(domain=order, range=PALETTE), sort=order, title=None),
            order=alt.Order("position:Q"),
        )
        .transform_calculate(position=f"indexof({order}, datum.component)")
    )
    return Figure(
        name=f"anatomy-{bench}-{basis}",
        title=f"What the base spends, by component: {bench} bench, {_said(basis)}",
        caption=f"{words.BASIS[basis].capitalize()}. A layer that touches one component saves at most its share.",
        chart=_sized(chart, 34 * max(rows["resource"].nunique(), 1)),
        rows=rows.reset_index(drop=True),
    )


def predicted(results: Results) -> Figure:
    """Every formula's total against the joint truth; on the diagonal a formula is right."""
    total = results.total if results.total is not None else pd.DataFrame()
    joint = total[total["formula"] == "joint"].set_index(["bench", "basis", "resource"])["delta"]
    rows = total[total["formula"] != "joint"].dropna(subset=["delta"]).copy()
    rows["joint"] = [float(joint.loc[k]) for k in zip(rows["bench"], rows["basis"], rows["resource"], strict=True)]
    rows = rows.assign(predicted=100 * rows["delta"], joint=100 * rows["joint"])
    ends = [float(rows[["predicted", "joint"]].min().min()) - 5, float(rows[["predicted", "joint"]].max().max()) + 5]
    diagonal = alt.Chart(pd.DataFrame({"x": ends, "y": ends})).mark_line(color=INK, strokeDash=[4, 3]).encode(x="x:Q", y="y:Q")
    points = (
        alt.Chart(rows)
        .mark_point(filled=True, size=80)
        .encode(
            x=alt.X("joint:Q", title="joint saving [%]", scale=alt.Scale(domain=ends)),
            y=alt.Y("predicted:Q", title="formula [%]", scale=alt.Scale(domain=ends)),
            color=alt.Color("formula:N", title=None, scale=alt.Scale(range=PALETTE)),
            shape=alt.Shape("resource:N", title=None),
        )
    )
    return Figure(
        name="predicted",
        title="Formulas against the joint truth",
        caption="Every bench, basis and resource. Above the diagonal the formula promises more than the joint run delivers.",
        chart=_sized(diagonal + points, 380),
        rows=rows[["bench", "basis", "resource", "formula", "predicted", "joint"]].reset_index(drop=True),
    )


def _steps(results: Results, f: Factorial) -> pd.DataFrame:
    """Bars of the waterfall, in % of the base."""
    shares = results.shares(f)
    joint = next(r for r in words.rows_of(results, f) if r["formula"] == "joint")
    at, rows = 100.0, [_bar("base", 0.0, 100.0, "whole")]
    for s in sorted(shares, key=lambda s: s.alone.value):
        step = 100 * s.alone.value
        rows.append(_bar(s.layer, at, at - step, "saves" if step >= 0 else "loses", label=words.percent(-s.alone.value)))
        at -= step
    end = 100 * (1 - joint["delta"])
    if len(shares) > 1:
        rows.append(_bar("interaction", at, end, "saves" if end <= at else "loses", label=words.percent((end - at) / 100)))
    last = _bar("joint", 0.0, end, "whole")
    if pd.notna(joint["lo"]):
        last |= {"low": 100 * (1 - joint["hi"]), "high": 100 * (1 - joint["lo"])}
    return pd.DataFrame([*rows, last])


def _bar(step: str, start: float, end: float, kind: str, label: str | None = None) -> dict[str, Any]:
    words_ = label or f"{end:.1f} %"
    return {
        "step": step,
        "from": start,
        "to": end,
        "kind": kind,
        "label": words_,
        "top": max(start, end),
        "low": None,
        "high": None,
    }


def _said(basis: Basis) -> str:
    """The basis in a title."""
    return str(basis).replace("_", " ")


def _scaled(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _sized(chart: Any, height: int) -> Any:
    return _themed(chart.properties(width=WIDTH, height=height))


def _themed(chart: Any) -> Any:
    ink = {"labelColor": INK, "titleColor": INK, "domainColor": INK, "tickColor": INK, "gridOpacity": 0.25, "gridColor": INK}
    return (
        chart.configure(background="transparent", font="system-ui, sans-serif")
        .configure_axis(**ink, labelFontSize=12, titleFontSize=12)
        .configure_legend(labelColor=INK, titleColor=INK, orient="bottom", labelFontSize=12)
        .configure_view(stroke=None)
    )
