"""metrics.json: the dotted names of the design, nested so that DVC, MLflow and pandas flatten them alike.

``delta_total.<bench>.<resource>.<formula>`` (and ``.lo``, ``.hi``), ``gap.<bench>.<resource>.<formula>``,
``promises_more.<bench>.<resource>.<formula>`` (the share of draws, or of resamples of blocks, in which its gap is above 0),
``layer/<layer>/delta.<bench>.<resource>``, ``shapley/<layer>.<bench>.<resource>``, ``quality/<metric>.<bench>`` (its change with
the whole stack on), ``floor.<bench>.<resource>`` (the largest Δ that two equal cells may show, where they were run),
``false_positive.<bench>.<resource>.{order,coin}`` (the share of intervals that claim an effect of a factor that does nothing).
The bench alone stands for its headline basis; another basis is named ``<bench>_<basis>``. Numbers are finite or absent;
sentences and tables stand in summary.json.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from deltastack.analysis.disabled_techniques import off_here
from deltastack.analysis.negative_controls import rates
from deltastack.analysis.noise_floor import largest
from deltastack.analysis.overprediction import promises
from deltastack.analysis.quality import readings, unfit
from deltastack.analysis.results import HEADLINE
from deltastack.evaluation.delta_summary import far
from deltastack.model import cell_name
from deltastack.report.text import formatting, headline
from deltastack.report.text.amounts import losses_first, moved
from deltastack.report.text.evidence_card import card

if TYPE_CHECKING:
    from deltastack.analysis.factorial import Factorial
    from deltastack.analysis.formula_totals import Estimate
    from deltastack.analysis.results import Results


def metrics(results: Results) -> dict[str, Any]:
    """The whole of metrics.json."""
    tree: dict[str, Any] = {}
    for row in _rows(results):
        where = _bench(row["bench"], row["operating_point"])
        _put(tree, ["delta_total", where, row["resource"]], row["formula"], (row["delta"], row["lo"], row["hi"]))
        if row["formula"] != "joint":
            _put(tree, ["gap", where, row["resource"]], row["formula"], (row["gap"], row["gap_lo"], row["gap_hi"]))
    for f in results.found:
        for share in results.shares(f):
            at = _bench(f.bench, f.operating_point)
            _put(tree, [f"layer/{share.layer}/delta", at], f.resource, share.alone)
            if share.shapley is not None:
                _put(tree, [f"shapley/{share.layer}", at], f.resource, share.shapley)
    _put_quality(tree, results)
    _put_promises(tree, results)
    _put_floors(tree, results)
    _put_nulls(tree, results)
    classes = sorted({str(f.evidence) for f in results.found})
    return tree | {"canonical": results.stack.canonical, "verdict": _overall(results), "evidence": {"mix": ",".join(classes)}}


def _put_quality(tree: dict[str, Any], results: Results) -> None:
    """Set the change of every metric of quality in the cell of the whole stack."""
    for bench in results.benches():
        layers = next((f.layers for f in results.found if f.bench is bench), ())
        for r in readings(results, bench, cell_name(layers)):
            if r.change is not None:
                _put(tree, [f"quality/{r.metric}"], bench, r.change)


def _put_promises(tree: dict[str, Any], results: Results) -> None:
    """Set in which share of its samples each formula promises more than the joint run gives."""
    for f in results.found:
        for name, p in promises(f).items():
            _put(tree, ["promises_more", _bench(f.bench, f.operating_point), str(f.resource)], name, (p.share, None, None))


def _put_floors(tree: dict[str, Any], results: Results) -> None:
    """Set the largest Δ that two equal cells may show, by measured resource."""
    for name, value in _floors(results).items():
        bench, resource = name.split(".")
        _put(tree, ["floor", bench], resource, (value, None, None))


def _put_nulls(tree: dict[str, Any], results: Results) -> None:
    """Set how often a factor that does nothing claims an effect, by measured headline resource."""
    for f in (f for f in formatting.spoken(results) if not f.drawn):
        for r in rates(results.joint[f.bench], f, results.stack.confidence):
            _put(tree, ["false_positive", _bench(f.bench, f.operating_point), str(f.resource)], r.factor, (r.share, None, None))


def _floors(results: Results) -> dict[str, float]:
    known = {f"{_bench(f.bench, f.operating_point)}.{f.resource}": results.floor(f) for f in results.found}
    return {name: largest(floor) for name, floor in known.items() if floor is not None}


def _overall(results: Results) -> str:
    """The verdict on the product over all headline totals: fails if it fails anywhere."""
    rows = [r for r in _rows(results) if r["formula"] == "independent" and r["operating_point"] == HEADLINE[r["bench"]]]
    found = {r["verdict"] for r in rows}
    return next((v for v in ("fails", "cannot be told", "holds") if v in found), "cannot be told")


def wording(results: Results, quality_limit: float | None = None) -> dict[str, Any]:
    """The whole of summary.json, what is said and not counted: headline, verdicts, evidence, conditions.

    With ``quality_limit`` (the least change of accuracy) the card says whether the stack's answers stay within it.
    """
    verdicts: dict[str, Any] = {}
    evidence: dict[str, Any] = {}
    for row in _rows(results):
        name = f"{_bench(row['bench'], row['operating_point'])}.{row['resource']}"
        if row["formula"] != "joint":
            verdicts.setdefault(name, {})[row["formula"]] = row["verdict"]
        evidence[name] = row["evidence"]
    return {
        "headline": headline.headline(results),
        "card": card(results, quality_limit),
        "beside": headline.others(results),
        "canonical": results.stack.canonical,
        "profile": results.stack.profile,
        "layers": list(results.stack.layers),
        "workload": results.workload.get("words"),
        "text_only": formatting.text_only_note(results),
        "verdict": verdicts,
        "floor": _floors(results),
        "evidence": evidence,
        "table": _table(results),
        "targets": [_answer(a, results) for a in results.answers()],
    }


def _table(results: Results) -> list[dict[str, Any]]:
    """The layer table of the headline resources, losses first."""
    rows = [_line(results, f, s.layer, s.alone) for f in formatting.spoken(results) for s in results.shares(f)]
    return sorted(rows, key=lambda r: losses_first(r["delta"], *(delta for _, delta, *_ in r["off"])))


def _line(results: Results, f: Factorial, layer: str, alone: Estimate) -> dict[str, Any]:
    off = off_here(results, f, layer) if alone.value == 0 else []
    return {
        "layer": layer,
        "bench": f.bench,
        "resource": f.resource,
        "delta": alone.value,
        "lo": alone.low,
        "hi": alone.high,
        "word": formatting.resolved(*alone, results.floor(f)),
        "amounts": moved(f, alone.value) if far(alone.value) else None,
        "operating_point": str(f.operating_point),
        "evidence": f.evidence,
        "off": [list(o) for o in off],
        "late": results.objection(f, cell_name([layer])),
    }


def _answer(a: Any, results: Results) -> dict[str, Any]:
    return {
        "target": a.target.words,
        "bench": a.bench,
        "resource": a.resource,
        "verdict": a.verdict,
        "margin": a.margin,
        "layers": list(a.layers),
        "unfit": unfit(results, a.bench, cell_name(a.layers)),
        "one_percent_modules": a.modules,
    }


def _rows(results: Results) -> list[dict[str, Any]]:
    if results.total is None or results.total.empty:
        return []
    return [{str(k): v for k, v in row.items()} for row in results.total.to_dict("records")]


def _bench(bench: str, operating_point: str) -> str:
    return str(bench) if operating_point in {str(b) for b in HEADLINE.values()} else f"{bench}_{operating_point}"


def _put(tree: dict[str, Any], path: list[str], name: str, numbers: tuple[float | None, ...]) -> None:
    """Set ``name``, ``name.lo`` and ``name.hi`` below ``path``; what is absent or not finite is left out."""
    for key in path:
        tree = tree.setdefault(str(key), {})
    for suffix, number in zip(("", ".lo", ".hi"), numbers, strict=True):
        if number is not None and math.isfinite(number):
            tree[f"{name}{suffix}"] = float(number)
