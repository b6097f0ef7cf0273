"""The page: one self-contained HTML file, figures inline as SVG, no script, nothing fetched."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

import jinja2
import vl_convert
from markupsafe import Markup

from deltastack.report import words
from deltastack.report.figures import INK, Figure, figures
from deltastack.report.metrics import wording

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deltastack.report.results import Results

GLOSSARY = (
    ("Δ", "(base - optimized) / base: a saving as a share of the base; negative where the layer costs"),
    ("layer, technique", "one kind of optimization, and one concrete way inside it"),
    ("cell", "the set of layers that are on in one run; the joint runs every set"),
    ("independent", "1 - Π(1 - Δ): right where every layer scales the same whole"),
    ("weighted", "Σ w Δ: right where layers act on disjoint shares"),
    ("by component", "1 - Σ_c w_c Π_l (1 - Δ_cl): layers multiply inside a component, components add"),
    ("pairwise", "the product corrected by the interaction of every pair: right where no three layers interact"),
    ("gap", "formula minus joint, in percentage points; above 0 the formula promises too much"),
    ("Shapley share", "a layer's part of the joint saving, averaged over every order of switching layers on"),
    ("measured / simulated / published / assumed", "how a number is known; a total is only as good as its weakest part"),
)


def svg(figure: Figure) -> str:
    """The figure as SVG text."""
    text: str = vl_convert.vegalite_to_svg(figure.chart.to_json())
    return text


def png(figure: Figure) -> bytes:
    """The figure as a PNG on white, at twice the size of the page."""
    data: bytes = vl_convert.vegalite_to_png(figure.chart.configure(background="white").to_json(), scale=2)
    return data


def html(results: Results, provenance: Mapping[str, str], drawn: Mapping[str, str] | None = None) -> str:
    """The page.

    Args:
        results: What to show.
        provenance: Name to words: commit, data, command; shown at the end.
        drawn: SVG by figure name, where it was drawn already.
    """
    shown = [(f, (drawn or {}).get(f.name) or svg(f)) for f in figures(results)]
    loader = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    loader.filters |= {"percent": words.percent, "points": words.points, "speed_up": words.speed_up}
    room = files("deltastack.report")
    return loader.from_string((room / "page.html").read_text(encoding="utf-8")).render(
        style=Markup((room / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        said=wording(results),
        totals=_totals(results),
        shares=_shares(results),
        absent=[{"bench": a.bench, "resource": words.RESOURCE[a.resource], "reason": a.reason} for a in results.absent],
        figures=[(f, Markup(text.replace(INK, "currentColor"))) for f, text in shown],  # noqa: S704 - drawn here
        stack=results.stack,
        workload=results.workload,
        glossary=GLOSSARY,
        provenance=provenance,
    )


def _totals(results: Results) -> list[dict[str, Any]]:
    """One row a bench, basis and resource: joint, then each formula with gap and verdict."""
    found = []
    for f in results.found:
        rows = {r["formula"]: r for r in words.rows_of(results, f)}
        found.append(
            {
                "bench": f.bench,
                "basis": words.BASIS[f.basis],
                "resource": words.RESOURCE[f.resource],
                "evidence": f.evidence,
                "joint": rows.pop("joint"),
                "formulas": rows,
            }
        )
    return sorted(found, key=lambda r: r["joint"]["delta"])


def _shares(results: Results) -> list[dict[str, Any]]:
    """Every layer's Δ by bench, basis and resource: losses first."""
    found = [
        {
            "layer": s.layer,
            "bench": f.bench,
            "basis": words.BASIS[f.basis],
            "resource": words.RESOURCE[f.resource],
            "evidence": f.evidence,
            "alone": s.alone,
            "words": words.interval(s.alone),
            "last_in": words.interval(s.last_in),
            "shapley": words.interval(s.shapley),
            "range": f"{words.percent(s.least)} to {words.percent(s.greatest)}",
        }
        for f in results.found
        for s in results.shares(f)
    ]
    return sorted(found, key=lambda r: r["alone"].value)
