"""Quality of every cell against its saving, and which parameter moves a Δ most (tornado)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import pandas as pd

from deltastack import formatting
from deltastack.analysis.quality import worst
from deltastack.model import cell_name
from deltastack.report.figures.base import INK, JOINT, PALETTE, Figure, said, sized

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis, FactorialAnalysis
    from deltastack.analysis.factorial import Factorial
    from deltastack.report.context import Swing

SHOWN = 12


def against_quality(analysis: Analysis, a: FactorialAnalysis) -> Figure:
    """Saving of every cell against the accuracy that suffers most in it."""
    f = a.factorial
    changes = {m: worst(analysis.quality, f.bench, cell_name(f.cell(m))) for m in a.savings}
    rows = pd.DataFrame(
        [
            {
                "cell": " + ".join(f.cell(m)) or "base",
                "layers": m.bit_count(),
                "saving": 100 * a.savings[m].value,
                "quality": 100 * e.value,
                "low": None if e.low is None else 100 * e.low,
                "high": None if e.high is None else 100 * e.high,
            }
            for m, e in changes.items()
            if e is not None and m
        ]
    )
    x = alt.X("saving:Q", title=f"saving of {formatting.resource(f.bench, f.resource)} [%]")
    y = alt.Y("quality:Q", title="change of accuracy [points]")
    color = alt.Color("layers:O", title="layers on", scale=alt.Scale(range=PALETTE))
    zero = alt.Chart().mark_rule(color=INK, strokeDash=[4, 3]).encode(y=alt.datum(0))
    bars = alt.Chart().mark_rule(strokeWidth=1.5).encode(x=x, y="low:Q", y2="high:Q", color=color)
    points = alt.Chart().mark_point(filled=True, size=70).encode(x=x, y=y, color=color)
    return Figure(
        name=f"quality-{f.bench}-{f.operating_point}",
        title=f"Saving against quality: {f.bench} bench, {said(f.operating_point)}",
        caption="Every cell whose quality was measured: the accuracy that falls most, with its interval.",
        chart=sized(alt.layer(zero, bars, points, data=rows), 280) if len(rows) else alt.Chart(rows),
        rows=rows,
    )


def tornado(swings: tuple[Swing, ...], f: Factorial) -> Figure:
    """Which parameter of a layer moves its Δ most, over the range of the parameter."""
    mine = [s for s in swings if (s.bench, s.operating_point, s.resource) == (f.bench, f.operating_point, f.resource)]
    mine = sorted(mine, key=lambda s: -abs(s.high - s.low))[:SHOWN]
    rows = pd.DataFrame(
        [
            {
                "parameter": f"{s.layer} / {s.technique}: {s.parameter} (Δ {formatting.percent(s.central)})".replace("_", " "),
                "low": 100 * s.low,
                "central": 100 * s.central,
                "high": 100 * s.high,
                "from": 100 * (s.low - s.central),
                "to": 100 * (s.high - s.central),
                "share": s.share,
            }
            for s in mine
        ]
    )
    y = alt.Y("parameter:N", title=None, sort=list(rows["parameter"]) if len(rows) else None, axis=alt.Axis(labelLimit=340))
    x = alt.X("from:Q", title=f"change of the technique's Δ of {formatting.resource(f.bench, f.resource)} [points]")
    bars = alt.Chart(rows).mark_bar(color=JOINT, opacity=0.8, height=14).encode(y=y, x=x, x2="to:Q")
    zero = alt.Chart().mark_rule(color=INK, strokeDash=[4, 3]).encode(x=alt.datum(0))
    return Figure(
        name=f"tornado-{f.bench}-{f.operating_point}",
        title=f"Which parameter moves a layer's saving: {f.bench} bench, {said(f.operating_point)}",
        caption=(
            "How far a technique's Δ moves from its central value (in brackets) between the ends of one parameter's range, all "
            "others central. Longest first; a bar to one side of the line says that both ends move Δ the same way."
        ),
        chart=sized(alt.layer(bars, zero, data=rows), 30 * max(len(rows), 1)) if len(rows) else alt.Chart(rows),
        rows=rows,
    )
