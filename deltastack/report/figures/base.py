"""What all figures share: a name, words, one Vega-Lite chart, the rows behind it, colours and sizes.

Text and rules use one placeholder colour that the page replaces by the reader's text colour, so that a figure reads on
a light and on a dark page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from deltastack.model import OperatingPoint

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


def said(operating_point: OperatingPoint) -> str:
    """The basis in a title."""
    return str(operating_point).replace("_", " ")


def scaled(value: float | None) -> float | None:
    """A fraction as a percentage; None stays None."""
    return None if value is None else 100 * value


def sized(chart: Any, height: int) -> Any:
    """``chart`` as wide as the page and so many pixels high, in the house's colours."""
    return themed(chart.properties(width=WIDTH, height=height))


def titled(chart: Any, title: str, source: str) -> Any:
    """``chart`` with its title and its source in the picture, so that it can be shown alone."""
    return chart.properties(title={"text": title, "subtitle": source})


def themed(chart: Any) -> Any:
    """``chart`` in the house's colours."""
    ink = {"labelColor": INK, "titleColor": INK, "domainColor": INK, "tickColor": INK, "gridOpacity": 0.25, "gridColor": INK}
    return (
        chart.configure(background="transparent", font="Arial, Liberation Sans, Helvetica, sans-serif")
        .configure_axis(**ink, labelFontSize=12, titleFontSize=12)
        .configure_axisQuantitative(labelOverlap="parity", labelSeparation=6)
        .configure_legend(
            labelColor=INK, titleColor=INK, orient="bottom", labelFontSize=12, columns=4, columnPadding=22, labelLimit=260
        )
        .configure_view(stroke=None)
        .configure_title(
            anchor="start", color=INK, fontSize=14, subtitleColor=INK, subtitleFontSize=11, subtitlePadding=6, offset=12
        )
    )
