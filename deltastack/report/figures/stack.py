"""The whole stack in one picture each: waterfall, forest, formulas against the observed joint result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import pandas as pd

from deltastack import formatting
from deltastack.report.figures.base import INK, JOINT, LOSES, PALETTE, SAVES, WIDTH, Figure, said, scaled, sized, themed

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis, FactorialAnalysis


def waterfall(a: FactorialAnalysis) -> Figure:
    """From the base through each layer's saving alone, the interaction, to the joint result; whiskers on the ends."""
    f, steps = a.factorial, _steps(a)
    x = alt.X("step:N", sort=list(steps["step"]), title=None, axis=alt.Axis(labelAngle=-25, labelLimit=140))
    color = alt.Color("kind:N", scale=alt.Scale(domain=["whole", "saves", "loses"], range=[JOINT, SAVES, LOSES]), title=None)
    y = alt.Y("from:Q", title="% of the base", scale=alt.Scale(zero=True))
    bars = alt.Chart(steps).mark_bar(size=46).encode(x=x, y=y, y2="to:Q", color=color)
    whiskers = alt.Chart(steps.dropna(subset=["low"])).mark_rule(color=INK, strokeWidth=2).encode(x=x, y="low:Q", y2="high:Q")
    labels = alt.Chart(steps).mark_text(dy=-8, color=INK, fontSize=12).encode(x=x, y="top:Q", text="label:N")
    title = f"Where the {formatting.resource(f.bench, f.resource)} goes: {f.bench} bench, {said(f.operating_point)}"
    caption = (
        f"{formatting.resource(f.bench, f.resource).capitalize()} {formatting.OPERATING_POINT[f.operating_point]}, base = 100 %. "
        "Each layer is its change alone "
        "(below 0 it saves); the interaction is what the joint run saves more (green) or less (red) than their sum."
    )
    return Figure(
        name=f"waterfall-{f.bench}-{f.operating_point}",
        title=title,
        caption=caption,
        chart=sized(bars + whiskers + labels, 300),
        rows=steps,
    )


def forest(a: FactorialAnalysis) -> Figure:
    """Δ of each layer alone, last in, and its Shapley share, with intervals."""
    f = a.factorial
    rows = [
        {"layer": s.layer.replace("_", " "), "reading": n, "delta": 100 * e.value, "low": scaled(e.low), "high": scaled(e.high)}
        for s in sorted((x.share for x in a.layers), key=lambda s: s.alone.value)
        for n, e in (("alone", s.alone), ("leave-one-out", s.leave_one_out), ("Shapley", s.shapley))
        if e is not None
    ]
    frame = pd.DataFrame(rows)
    y = alt.Y("reading:N", title=None, sort=["alone", "leave-one-out", "Shapley"])
    color = alt.Color("reading:N", legend=None, scale=alt.Scale(range=PALETTE[:3]))
    x = alt.X("delta:Q", title=f"saving of {formatting.resource(f.bench, f.resource)} [%]")
    zero = alt.Chart().mark_rule(color=INK, strokeDash=[4, 3]).encode(x=alt.datum(0))
    lines = alt.Chart().mark_rule(strokeWidth=3).encode(x="low:Q", x2="high:Q", y=y, color=color)
    points = alt.Chart().mark_point(filled=True, size=90).encode(x=x, y=y, color=color)
    header = alt.Header(labelAngle=0, labelAlign="left", labelColor=INK)
    chart = (
        alt.layer(zero, lines, points, data=frame)
        .properties(width=WIDTH - 120, height=70)
        .facet(row=alt.Row("layer:N", title=None, sort=list(frame["layer"].unique()), header=header))
    )
    return Figure(
        name=f"forest-{f.bench}-{f.operating_point}",
        title=f"Savings of each layer, three readings: {f.bench} bench, {said(f.operating_point)}",
        caption="Alone: only this layer on. Leave-one-out: added to all others. Shapley: mean over all orders. Bars: intervals.",
        chart=themed(chart),
        rows=frame,
    )


def predicted(analysis: Analysis) -> Figure:
    """Every cell with two or more layers, as each formula predicts and as observed; on the diagonal a formula is right."""
    rows = pd.DataFrame(
        [
            {
                "bench": str(a.factorial.bench),
                "operating_point": said(a.factorial.operating_point),
                "resource": str(a.factorial.resource),
                "cell": " + ".join(c.layers),
                "formula": c.formula.replace("_", " "),
                "predicted": 100 * c.predicted,
                "joint": 100 * c.observed,
            }
            for a in analysis.headlines
            for c in a.cells
        ]
    )
    return Figure(
        name="predicted",
        title="Formulas against the observed joint result, every cell with two or more layers",
        caption=(
            "Headline resource of every bench. On the dashed line a formula is right; above it predicts more than the joint run "
            "delivers. The shape tells the bench and basis."
        ),
        chart=sized(_diagonal(rows) + _points(rows), 380) if len(rows) else alt.Chart(rows),
        rows=rows,
    )


def _diagonal(rows: pd.DataFrame) -> Any:
    low, high = _ends(rows)
    ends = pd.DataFrame({"x": [low, high], "y": [low, high]})
    return alt.Chart(ends).mark_line(color=INK, strokeDash=[4, 3]).encode(x="x:Q", y="y:Q")


def _points(rows: pd.DataFrame) -> Any:
    scale = alt.Scale(domain=_ends(rows))
    marked = rows.assign(where=rows["bench"] + ", " + rows["operating_point"])
    return (
        alt.Chart(marked)
        .mark_point(filled=True, size=70, opacity=0.85)
        .encode(
            x=alt.X("joint:Q", title="joint saving [%]", scale=scale),
            y=alt.Y("predicted:Q", title="formula [%]", scale=scale),
            color=alt.Color("formula:N", title=None, scale=alt.Scale(range=PALETTE)),
            shape=alt.Shape("where:N", title=None, legend=alt.Legend(symbolFillColor=INK, symbolStrokeColor=INK)),
        )
    )


def _ends(rows: pd.DataFrame) -> list[float]:
    both = rows[["predicted", "joint"]]
    low, high = float(both.min().min()), float(both.max().max())
    room = max(1.0, 0.08 * (high - low))
    return [low - room, high + room]


def _steps(a: FactorialAnalysis) -> pd.DataFrame:
    """Bars of the waterfall, in % of the base; whiskers are the interval of the bar's own step, or of the joint amount."""
    shares = [x.share for x in a.layers]
    at, rows = 100.0, [_bar("base", 0.0, 100.0, "whole")]
    for s in sorted(shares, key=lambda s: s.alone.value):
        step = 100 * s.alone.value
        ends = (at - (scaled(s.alone.high) or step), at - (scaled(s.alone.low) or step)) if s.alone.low is not None else None
        kind = "saves" if step >= 0 else "loses"
        rows.append(_bar(s.layer, at, at - step, kind, label=formatting.percent(-s.alone.value), whisker=ends))
        at -= step
    if a.joint is None:
        return pd.DataFrame()
    end = 100 * (1 - a.joint.value)
    if len(shares) > 1:
        kind = "saves" if end <= at else "loses"
        rows.append(_bar("interaction", at, end, kind, label=formatting.percent((end - at) / 100)))
    low, high = a.joint[1:3]
    ends = None if low is None or high is None else (100 * (1 - high), 100 * (1 - low))
    return pd.DataFrame([*rows, _bar("joint", 0.0, end, "whole", whisker=ends)])


def _bar(  # noqa: PLR0913 - one keyword a part of the bar
    step: str, start: float, end: float, kind: str, *, label: str | None = None, whisker: tuple[float, float] | None = None
) -> dict[str, Any]:
    low, high = whisker or (None, None)
    return {
        "step": step.replace("_", " "),
        "from": start,
        "to": end,
        "kind": kind,
        "label": label or f"{end:.1f} %",
        "top": max(start, end, high or 0.0),
        "low": low,
        "high": high,
    }
