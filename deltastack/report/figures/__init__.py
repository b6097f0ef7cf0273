"""Figures from an analysis: one Vega-Lite chart and the rows behind it each; the same spec feeds page, PNG, SVG and CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.model import OperatingPoint
from deltastack.report.figures.base import INK, Figure
from deltastack.report.figures.base_components import anatomy
from deltastack.report.figures.pairs import interactions
from deltastack.report.figures.quality_tradeoff import against_quality, tornado
from deltastack.report.figures.stack import forest, predicted, waterfall

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis
    from deltastack.report.context import Swing

__all__ = ["INK", "Figure", "figures"]


def figures(analysis: Analysis, swings: tuple[Swing, ...] = ()) -> list[Figure]:
    """Every figure that this analysis can carry, in the order of the page."""
    headlines = analysis.headlines
    found = [waterfall(a) for a in headlines]
    found += [forest(a) for a in headlines]
    found.append(predicted(analysis))
    found += [interactions(a) for a in headlines]
    found += [anatomy(analysis, bench, operating_point) for bench in analysis.benches for operating_point in OperatingPoint]
    found += [against_quality(analysis, a) for a in headlines]
    found += [tornado(swings, a.factorial) for a in headlines]
    return [figure for figure in found if not figure.rows.empty]
