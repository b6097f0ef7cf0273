"""Figures from results: one Vega-Lite chart and the rows behind it each; the same spec feeds page, PNG, SVG and CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.model import OperatingPoint
from deltastack.report.figures.base import INK, Figure
from deltastack.report.figures.base_components import anatomy
from deltastack.report.figures.pairs import interactions
from deltastack.report.figures.quality_tradeoff import against_quality, tornado
from deltastack.report.figures.stack import forest, predicted, waterfall
from deltastack.report.text import formatting

if TYPE_CHECKING:
    from deltastack.analysis.results import Results
    from deltastack.report.context import Swing

__all__ = ["INK", "Figure", "figures"]


def figures(results: Results, swings: tuple[Swing, ...] = ()) -> list[Figure]:
    """Every figure that these results can carry, in the order of the page."""
    spoken = formatting.spoken(results)
    found = [waterfall(results, f) for f in spoken]
    found += [forest(results, f) for f in spoken]
    found.append(predicted(results))
    found += [interactions(results, f) for f in spoken]
    found += [anatomy(results, bench, operating_point) for bench in results.benches() for operating_point in OperatingPoint]
    found += [against_quality(results, f) for f in spoken]
    found += [tornado(swings, f) for f in spoken]
    return [figure for figure in found if not figure.rows.empty]
