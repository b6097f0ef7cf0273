"""The page: one self-contained HTML file, figures inline as SVG, no script, nothing fetched."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

import jinja2
import vl_convert
from markupsafe import Markup

from deltastack.analysis import annual_fleet_cost, history
from deltastack.model import Bench, Resource
from deltastack.report.context import Beside
from deltastack.report.figures import INK, Figure, figures
from deltastack.report.html import sections, table_rows
from deltastack.report.metrics_json import wording
from deltastack.report.text import formatting, interactions
from deltastack.report.text.evidence_card import NOT_CANONICAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deltastack.analysis.factorial import Absent
    from deltastack.analysis.results import Results

GLOSSARY = (
    ("Δ", "(base - optimized) / base: a saving as a share of the base; negative where the layer costs"),
    ("layer, technique", "one kind of optimization, and one concrete way inside it"),
    (
        "fleet bench, testbed bench",
        "a datacentre deployment, simulated on the workload; a small real model, run on this machine",
    ),
    ("cell", "the set of layers that are on in one run; the joint runs every set"),
    ("independent", "1 - Π(1 - Δ): right where every layer scales the same whole"),
    ("weighted", "Σ w Δ: right where layers act on disjoint shares"),
    ("by component", "1 - Σ_c w_c Π_l (1 - Δ_cl): layers multiply inside a component, components add"),
    ("pairwise", "the product corrected by the interaction of every pair: right where no three layers interact"),
    ("gap", "formula minus joint, in percentage points; above 0 the formula promises too much"),
    (
        "holds / fails / cannot be told",
        "the interval of the gap lies inside the tolerance, outside it, or across its edge",
    ),
    ("not resolved", "the interval of a saving holds 0, or the saving is no larger than what two equal runs differ by"),
    (
        "off here",
        "none of the layer's techniques is on for this bench (params/layers says why); what each would do alone is told instead",
    ),
    ("canonical", "from the default or the long profile; a quick run is not, and may not be quoted"),
    ("admissible", "the answers of the model are worse by no more than the quality limit of params/report.yaml"),
    ("alone, averaged, last in", "what a layer saves with the others off, averaged over their settings, with the others on"),
    (
        "Shapley share",
        "a layer's part of the joint saving, averaged over every order of switching layers on; the parts sum to it",
    ),
    ("order range", "the least and the largest that a layer adds in any order: how far its part can be argued"),
    ("interaction", "ln(both) - ln(first) - ln(second) + ln(base) of a pair: 0 where the product holds"),
    ("ceiling", "the share of the base in the components that a layer changes: it cannot save more (Amdahl)"),
    (
        "at trace, at capacity",
        "per request at the trace's own rate on a fixed fleet; at the largest rate that meets the latency goals",
    ),
    ("speed-up", "1 / (1 - Δ): 2.00x is a saving of 50 %"),
    (
        "measured / simulated / published / assumed",
        "run here; from operator times of real accelerators; read in the work of others; chosen by us. The weakest names a total",
    ),
)


def svg(figure: Figure) -> str:
    """The figure as SVG text."""
    text: str = vl_convert.vegalite_to_svg(figure.chart.to_json())
    return text


def png(figure: Figure) -> bytes:
    """The figure as a PNG on white, at twice the size of the page."""
    data: bytes = vl_convert.vegalite_to_png(figure.chart.configure(background="white").to_json(), scale=2)
    return data


def html(
    results: Results, provenance: Mapping[str, str], drawn: Mapping[str, str] | None = None, beside: Beside | None = None
) -> str:
    """The page.

    Args:
        results: What to show.
        provenance: Name to words: commit, data, command; shown at the end.
        drawn: SVG by figure name, where it was drawn already.
        beside: Claims, published cases, imports, history, sensitivity, the size of the fleet.
    """
    more = beside or Beside()
    shown = [(f, (drawn or {}).get(f.name) or svg(f)) for f in figures(results, more.swings)]
    pictures: dict[str, list[tuple[Figure, Markup]]] = {}
    for n, (f, text) in enumerate(shown):
        pictures.setdefault(f.name.split("-")[0], []).append((f, Markup(_own(text, n))))  # noqa: S704 - drawn here
    room = files("deltastack.report.html")
    template = _environment().from_string((room / "page.html").read_text(encoding="utf-8"))
    return template.render(
        style=Markup((room / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        said=wording(results, more.view.quality_limit),
        results=results,
        not_canonical=NOT_CANONICAL,
        sections=sections,
        tables=table_rows,
        interactions=interactions,
        pictures=pictures,
        beside=more,
        fleet=annual_fleet_cost.lines(results, more.view.accelerators),
        curves=history.curves(more.history, more.view.history),
        box=(history.WIDTH, history.HEIGHT),
        absent=[_absent(a) for a in results.absent],
        glossary=GLOSSARY,
        provenance=provenance,
    )


def _absent(a: Absent) -> dict[str, str]:
    """A row without a number: where, of what, and why."""
    where = f"{a.bench}, {a.operating_point}".replace("_", " ")
    return {"where": where, "resource": formatting.resource(a.bench, a.resource), "reason": a.reason}


def _environment() -> jinja2.Environment:
    found = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    found.filters |= {
        "percent": formatting.percent,
        "points": formatting.points,
        "speed_up": formatting.speed_up,
        "interval": formatting.interval,
        "ends": formatting.ends,
        "amount": _amount,
        "off": formatting.off,
        "named": lambda resource, bench: formatting.resource(Bench(bench), Resource(resource)),
    }
    return found


def _amount(value: float | None) -> str:
    """A number a person can read: thousands apart, three digits."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"  # noqa: PLR2004 - three digits


def _own(text: str, number: int) -> str:
    """An SVG with the page's text colour and with ids of its own, since clip paths of several drawings share one page."""
    inked = text.replace(INK, "currentColor")
    return re.sub(r'((?:id="|url\(#|href="#))([\w-]+)', rf"\g<1>f{number}-\g<2>", inked)
