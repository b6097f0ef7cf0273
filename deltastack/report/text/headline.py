"""What the whole stack does and whether the formulas say so too, one sentence a bench and basis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from deltastack.analysis import sample_size
from deltastack.analysis.formula_totals import Estimate
from deltastack.evaluation.delta_summary import far
from deltastack.model import cell_name
from deltastack.report.text import formatting
from deltastack.report.text.amounts import moved, per
from deltastack.statistics import Verdict

if TYPE_CHECKING:
    from deltastack.analysis.factorial import Factorial
    from deltastack.analysis.results import Results


ONE_START = "one process start"


def headline(results: Results) -> list[str]:
    """What the stack saves at the headline basis, and whether the formulas say so too: one sentence a bench."""
    said = [_sentence(results, f) for f in formatting.spoken(results) if f.operating_point is formatting.headline_basis(f.bench)]
    return said or ["Nothing can be told yet: no resource has a full factorial at the headline basis."]


def others(results: Results) -> list[str]:
    """The same of the other bases."""
    return [
        _sentence(results, f) for f in formatting.spoken(results) if f.operating_point is not formatting.headline_basis(f.bench)
    ]


def joint_word(results: Results, f: Factorial, joint: dict[str, Any]) -> str:
    """What the row ``joint`` of TOTAL may be called; empty where there is no number."""
    return "" if pd.isna(joint["delta"]) else formatting.resolved(joint["delta"], *_ends(joint), results.floor(f))


def _sentence(results: Results, f: Factorial) -> str:
    by_formula = {r["formula"]: r for r in formatting.rows_of(results, f)}
    joint, resource = by_formula["joint"], formatting.resource(f.bench, f.resource)
    if pd.isna(joint["delta"]):
        return f"{' + '.join(f.layers).replace('_', ' ')}: nothing can be told of {resource} ({joint['reason']})."
    truth = _truth(results, f, joint)
    if len(f.layers) == 1:
        return f"{truth}. One layer alone: there is nothing to compose."
    product = by_formula["independent"]
    ends = "" if pd.isna(product["gap_lo"]) else f" {formatting.ends((product['gap_lo'], product['gap_hi']))}"
    says = f"their product says {formatting.change(product['delta'])}, a gap of {formatting.points(product['gap'])}{ends}"
    return f"{truth}; {says}: {_does(product['verdict'])}{_would_tell(results, f, product)}."


def _truth(results: Results, f: Factorial, joint: dict[str, Any]) -> str:
    """What all layers together do, if that is resolved."""
    start = ONE_START if f.one_start else ""
    known = ", ".join(filter(None, (f"{f.bench} bench", str(f.evidence), start, formatting.floor_note(results.floor(f)))))
    late = results.objection(f, cell_name(f.layers))
    but = f", but {late}" if late else ""
    what = f"of {formatting.resource(f.bench, f.resource)} {formatting.BASIS[f.operating_point]} ({known}){but}"
    layers, word = " + ".join(f.layers).replace("_", " "), joint_word(results, f, joint)
    if word == "not resolved":
        return f"{layers}: a saving {what} is not resolved, {formatting.percent(joint['delta'])} {formatting.ends(_ends(joint))}"
    if word == "changes nothing":
        return f"{layers} changes nothing {what}"
    size = moved(f, joint["delta"]).removesuffix(f" {per(f)}") if far(joint["delta"]) else _size(joint)
    return f"{layers} {'saves' if word == 'saves' else 'costs'} {size} {what}"


def _size(joint: dict[str, Any]) -> str:
    """How much is saved or spent, without a sign, and its interval.

    >>> _size({"delta": -0.2, "lo": -0.25, "hi": -0.1}), _size({"delta": 0.2, "lo": None, "hi": None})
    ('20.0 % [10.0, 25.0]', '20.0 %')
    """
    sign = 1 if joint["delta"] > 0 else -1
    size, *ends = (f"{100 * sign * joint[n]:.1f}" for n in ("delta", "lo", "hi") if not pd.isna(joint[n]))
    return f"{size} % [{', '.join(ends[::sign])}]" if ends else f"{size} %"


def _would_tell(results: Results, f: Factorial, product: dict[str, Any]) -> str:
    """What would tell a verdict that could not be told; empty for one that could."""
    if product["verdict"] != Verdict.CANNOT_BE_TOLD or pd.isna(product["gap_lo"]):
        return ""
    gap = Estimate(float(product["gap"]), float(product["gap_lo"]), float(product["gap_hi"]))
    said = sample_size.words(results, f, gap)
    return f" ({said})" if said else ""


def _ends(row: dict[str, Any]) -> tuple[float | None, float | None]:
    low, high = (None if pd.isna(row[n]) else float(row[n]) for n in ("lo", "hi"))
    return low, high


def _does(verdict: object) -> str:
    return {"holds": "it holds", "fails": "it fails"}.get(str(verdict), "whether it holds cannot be told")
