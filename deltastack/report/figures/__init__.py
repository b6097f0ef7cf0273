"""Figures from an analysis: one Vega-Lite chart and the rows behind it each; the same spec feeds page, PNG, SVG and CSV."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from deltastack.model import OperatingPoint
from deltastack.report.figures.base import INK, Figure, titled
from deltastack.report.figures.base_components import anatomy
from deltastack.report.figures.dumbbell import dumbbell
from deltastack.report.figures.pairs import interactions
from deltastack.report.figures.quality_tradeoff import against_quality, tornado
from deltastack.report.figures.stack import forest, predicted, waterfall

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis
    from deltastack.report.context import Swing

__all__ = ["INK", "Figure", "figures"]


def figures(analysis: Analysis, swings: tuple[Swing, ...] = (), stamp: str = "") -> list[Figure]:
    """Every figure that this analysis can carry, in the order of the page; title, source and ``stamp`` stand in the picture."""
    headlines = analysis.headlines
    found = [dumbbell(analysis)]
    found += [waterfall(a) for a in headlines]
    found += [forest(a) for a in headlines]
    found.append(predicted(analysis))
    found += [interactions(a) for a in headlines]
    found += [anatomy(analysis, bench, operating_point) for bench in analysis.benches for operating_point in OperatingPoint]
    found += [against_quality(analysis, a) for a in headlines]
    found += [tornado(swings, a.factorial) for a in headlines]
    source = ". ".join(filter(None, (_source(analysis), stamp)))
    return [replace(f, chart=titled(f.chart, f.title, source)) for f in found if not f.rows.empty]


def _source(analysis: Analysis) -> str:
    """Where the numbers of a picture come from: what was simulated, and what was measured."""
    simulated = [f"simulated: {analysis.deployment_text}"] if analysis.deployment_text else []
    measured = [str(b) for b in analysis.benches if not b.facts.simulated]
    return "; ".join(["deltastack", *simulated, *([f"measured: {', '.join(measured)}"] if measured else [])])
