"""The page: one self-contained HTML file, figures inline as SVG, one small script of its own, nothing fetched."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jinja2
import vl_convert
from markupsafe import Markup

from deltastack import formatting
from deltastack.analysis import annual_fleet_cost, history
from deltastack.model import Bench, Resource
from deltastack.report.context import ReportContext
from deltastack.report.figures import INK, Figure, figures
from deltastack.report.html import first_screen, scene_table, sections, table_rows
from deltastack.report.metrics_json import wording
from deltastack.report.text import exact_work, occasions, starts
from deltastack.report.text.evidence_card import NOT_CANONICAL, admissibilities
from deltastack.report.text.interactions import interactions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deltastack.analysis.analysis import Analysis
    from deltastack.analysis.factorial import Missing

GLOSSARY = (
    ("Δ, saving", "(base - optimized) / base: above 0 the resource is saved, below 0 more of it is used"),
    ("layer, technique", "an optimization layer is one kind of optimization; a technique is one concrete way inside it"),
    (
        "fleet bench, testbed bench",
        "a datacentre deployment, simulated on the workload; a small real model, run on this machine",
    ),
    ("cell", "the set of layers that are enabled in one run; the joint run covers every set"),
    ("independent (product rule)", "1 - Π(1 - Δ): right where every layer scales the same whole"),
    ("weighted", "Σ w Δ: right where layers act on disjoint shares"),
    ("by component", "1 - Σ_c w_c Π_l (1 - Δ_cl): layers multiply inside a component, components add"),
    ("pairwise", "the product corrected by the interaction of every pair: right where no three layers interact"),
    (
        "by mechanism",
        "the product with each mechanism that layers share counted once: right where these alone interact",
    ),
    ("gap", "formula minus observed joint saving, in percentage points; above 0 the formula predicts too much"),
    (
        "holds / fails / undecided",
        "the interval of the gap lies inside the tolerance, outside it, or across its edge; simulated: by its share of draws",
    ),
    ("indicative", "measured with fewer than three process starts, or on a loud machine: nothing is called right or wrong"),
    ("occasion", "one run of a measured experiment on one host at one time; occasions differ by what hours and days change"),
    ("not resolved", "the interval of a saving holds 0, or the saving is within the A/A noise floor"),
    ("disabled here", "no technique of the layer is enabled on this bench (params/layers gives the reason)"),
    (
        "canonical",
        "from the default or the long effort, and measured with starts enough on a quiet machine; else it may not be quoted",
    ),
    ("admissible", "output quality falls by no more than the quality limit of params/report.yaml"),
    (
        "alone, main effect, leave-one-out",
        "a layer's saving with the others off, averaged over their settings, with the others on",
    ),
    (
        "Shapley share",
        "a layer's part of the joint saving, averaged over every order of enabling layers; the parts sum to it",
    ),
    ("order range", "the least and the largest that a layer adds in any order"),
    ("interaction", "ln(both) - ln(first) - ln(second) + ln(base) of a pair: 0 where the product rule holds"),
    ("ceiling", "the share of the base in the components that a layer changes: it cannot save more (Amdahl)"),
    (
        "at trace, at capacity",
        "per request at the trace's request rate on a fixed fleet; at the largest rate that meets the SLOs",
    ),
    ("speed-up", "1 / (1 - Δ): 2.00x is a saving of 50 %"),
    (
        "measured / simulated / published / assumed",
        "run here; from operator times of real accelerators; read in published work; chosen by us. A total carries the weakest",
    ),
)


def svg(figure: Figure) -> str:
    """The figure as SVG text; its parts were validated when they were made."""
    text: str = vl_convert.vegalite_to_svg(figure.chart.to_json(validate=False))
    return text


def png(drawing: str) -> bytes:
    """An SVG as a PNG on white, at twice the size of the page."""
    head, tag, rest = drawing.partition(">")
    paper = '<rect width="100%" height="100%" fill="white"/>'
    data: bytes = vl_convert.svg_to_png(f"{head}{tag}{paper}{rest}", scale=2)
    return data


def html(  # noqa: PLR0913, PLR0917 - one argument a part of the page
    analysis: Analysis,
    provenance: Mapping[str, str],
    drawn: Sequence[tuple[Figure, str]] | None = None,
    context: ReportContext | None = None,
    said: Mapping[str, Any] | None = None,
    date: str = "",
) -> str:
    """The page.

    Args:
        analysis: What to show.
        provenance: Name to words: commit, data, command; shown at the end.
        drawn: Figures with their SVG, where they were drawn already.
        context: Claims, published cases, imports, history, sensitivity, the size of the fleet.
        said: summary.json, where it was made already.
        date: Of the results, in words.
    """
    more = context or ReportContext()
    shown = drawn if drawn is not None else [(f, svg(f)) for f in figures(analysis, more.swings)]
    pictures: dict[str, list[tuple[Figure, Markup]]] = {}
    for n, (f, text) in enumerate(shown):
        pictures.setdefault(f.name.split("-")[0], []).append((f, Markup(_own(text, n))))  # noqa: S704 - drawn here
    return _render(
        "page.html",
        style=Markup(_text("page.css")),  # noqa: S704 - our own file
        screen=first_screen.first_screen(analysis),
        said=(told := dict(said or wording(analysis))) | {"card_words": _what(analysis, told)},
        scene_table=scene_table.section(told.get("scenes", ())),
        exact=[_exact(x) for x in told.get("exact", ())],
        starts=[line for x in told.get("loading", ()) for line in starts.lines(x["bench"], x["card"], x["layers"])],
        date=date,
        benches=[str(b) for b in analysis.benches],
        stack=analysis.stack,
        not_canonical=NOT_CANONICAL,
        pictures=pictures,
        context=more,
        provenance=provenance,
        box=(history.WIDTH, history.HEIGHT),
        **_tables(analysis, more),
    )


def claims(analysis: Analysis, context: ReportContext) -> str:
    """The page of claims: the source paper's, each with its verdict, and published pairs held against the product."""
    return _render(
        "claims.html",
        style=Markup(_text("page.css")),  # noqa: S704 - our own file
        context=context,
        published=sections.published(context.cases, analysis.stack.tolerance),
        claim_counts=sections.verdict_counts(context.findings),
    )


def glossary() -> str:
    """The page of words."""
    return _render("glossary.html", style=Markup(_text("page.css")), glossary=GLOSSARY)  # noqa: S704 - our own file


def _what(analysis: Analysis, said: Mapping[str, Any]) -> str:
    """What was run, where, in one line."""
    simulated = f"Simulated: {analysis.deployment_text}. " if analysis.deployment_text else ""
    measured = [str(b) for b in analysis.benches if not b.facts.simulated]
    here = f"Measured: a small real model on this machine ({', '.join(measured)}). " if measured else ""
    return f"{said.get('workload')}. {simulated}{here}"


def _text(name: str) -> str:
    return (files("deltastack.report.html") / name).read_text(encoding="utf-8")


def _exact(told: Mapping[str, Any]) -> dict[str, Any]:
    """The card of exact work of one bench: its line and its table."""
    given = told["card"], told["layers"]
    return {"bench": told["bench"], "line": exact_work.lines(told["bench"], *given)[0], "table": exact_work.table(*given)}


def _render(name: str, **values: Any) -> str:
    return _environment().get_template(name).render(**values)


def _tables(analysis: Analysis, more: ReportContext) -> dict[str, Any]:
    """The rows and sentences of the page's parts."""
    return {
        "shares": table_rows.shares(analysis),
        "totals": table_rows.totals(analysis),
        "formulas": table_rows.formulas(analysis),
        "overpredictions": table_rows.overpredictions(analysis),
        "errors": table_rows.formula_errors(analysis),
        "interactions": interactions(analysis),
        "ceilings": sections.amdahl(analysis),
        "admissible": admissibilities(analysis),
        "one_percent": sections.one_percent(analysis),
        "null_factors": sections.null_factors(analysis),
        "occasions": occasions.method(analysis),
        "recorded": sections.recorded(more.recorded),
        "beside": sections.beside(more.beside),
        "fleet": annual_fleet_cost.lines(analysis, more.view.accelerators),
        "curves": history.curves(more.history, more.view.history),
        "missing": [_missing(m) for m in analysis.missing],
    }


def _missing(m: Missing) -> dict[str, str]:
    """A row without a number: where, of what, and why."""
    where = formatting.place(m.bench, m.operating_point)
    return {"where": where, "resource": formatting.resource(m.bench, m.resource), "reason": m.reason}


def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("deltastack.report.html", "")
    found = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    found.filters |= {
        "percent": formatting.percent,
        "points": formatting.points,
        "speed_up": formatting.speed_up,
        "interval": formatting.interval,
        "ends": formatting.ends,
        "short_ends": formatting.short_ends,
        "between": formatting.between,
        "amount": _amount,
        "disabled": table_rows.disabled,
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
