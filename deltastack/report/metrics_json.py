"""metrics.json, headline.json and summary.json from an analysis.

metrics.json has dotted names, nested so that DVC, MLflow and pandas flatten them alike:

* ``delta_total.<bench>.<resource>.<formula>`` (and ``.lo``, ``.hi``), ``gap.<bench>.<resource>.<formula>``
* ``overprediction_rate.<bench>.<resource>.<formula>``: share of draws, or of resamples of blocks, in which its gap is above 0
* ``layer/<layer>/delta.<bench>.<resource>``: from the layer's own table (``estimate@``, ``measure@``), else from the
  cell of the factorial with that layer alone
* ``shapley/<layer>.<bench>.<resource>``, ``quality/<metric>.<bench>`` (change with the whole stack enabled)
* ``aa_noise_floor.<bench>.<resource>``: the largest Δ that two equal cells may show, where they were run
* ``null_factor_fpr.<bench>.<resource>.{run_order,random}``: share of intervals that claim an effect of a null factor

The bench alone stands for its headline operating point; another one is named ``<bench>_<operating point>``. A scene other
than the first follows the bench, ``<bench>@<scene>``. Numbers are finite or absent; sentences are in summary.json.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from deltastack.amounts import losses_first, moved
from deltastack.analysis.analysis import HEADLINE
from deltastack.analysis.quality import readings, unfit
from deltastack.evaluation.delta_summary import far
from deltastack.model import NO_SCENE, cell_name
from deltastack.outcomes import Formula, Verdict
from deltastack.report.text import headline, occasions
from deltastack.report.text.evidence_card import card, text_only_note
from deltastack.report.text.terminal import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltastack.analysis.analysis import Analysis, FactorialAnalysis, LayerSaving
    from deltastack.analysis.targets import TargetAnswer
    from deltastack.model import Bench, OperatingPoint
    from deltastack.report.context import Swing

MOST_CARDS = 3
"""Results of the whole stack that the first screen and headline.json carry."""


def metrics(analysis: Analysis) -> dict[str, Any]:
    """The whole of metrics.json."""
    tree: dict[str, Any] = {}
    for a in analysis.factorials:
        _put_factorial(tree, a, _where(analysis, a.factorial.scene, a.factorial.bench, a.factorial.operating_point))
    for d in analysis.layer_deltas:
        _put(tree, [f"layer/{d.layer}/delta", _where(analysis, d.scene, d.bench, d.operating_point)], d.resource, d.delta)
    for bench, layers in {a.factorial.bench: a.factorial.layers for a in analysis.factorials}.items():
        for r in readings(analysis.quality, bench, cell_name(layers)):
            if r.change is not None:
                _put(tree, [f"quality/{r.metric}"], bench, r.change)
    classes = sorted({str(a.factorial.evidence) for a in analysis.factorials})
    return tree | {
        "canonical": analysis.stack.canonical,
        "verdict": str(overall(analysis)),
        "evidence": {"mix": ",".join(classes)},
    }


def headline_numbers(analysis: Analysis) -> dict[str, Any]:
    """The whole of headline.json: what each card of the first screen says.

    Names are ``<bench>.<resource>.{predicted,together,gap}``, with ``gap.lo`` and ``gap.hi``. Numbers are fractions; the bench
    is named as in metrics.json. A number that nobody has is absent.
    """
    tree: dict[str, Any] = {}
    for a in analysis.headlines[:MOST_CARDS]:
        f, product = a.factorial, a.totals[Formula.INDEPENDENT]
        at = [_where(analysis, f.scene, f.bench, f.operating_point), str(f.resource)]
        _put(tree, at, "predicted", (product.saving or ())[:1])
        _put(tree, at, "together", (a.totals[Formula.JOINT].saving or ())[:1])
        _put(tree, at, "gap", product.gap or ())
    return tree


def _put_factorial(tree: dict[str, Any], a: FactorialAnalysis, where: str) -> None:
    """Set totals, gaps, layers, overprediction, noise floor and null factors of one factorial."""
    resource = a.factorial.resource
    for t in a.totals.values():
        _put(tree, ["delta_total", where, resource], t.formula, t.saving or ())
        _put(tree, ["gap", where, resource], t.formula, t.gap or ())
    for layer in a.layers:
        _put(tree, [f"layer/{layer.share.layer}/delta", where], resource, layer.share.alone)
        _put(tree, [f"shapley/{layer.share.layer}", where], resource, layer.share.shapley or ())
    for name, p in a.overprediction.items():
        _put(tree, ["overprediction_rate", where, resource], name, (p.rate,))
    if a.noise_floor is not None:
        _put(tree, ["aa_noise_floor", where], resource, (a.noise_floor.largest,))
    for r in a.null_factors:
        _put(tree, ["null_factor_fpr", where, resource], r.factor, (r.share,))


def overall(analysis: Analysis) -> Verdict:
    """The verdict on the product over all headline totals: fails if it fails anywhere."""
    found = {a.totals[Formula.INDEPENDENT].verdict for a in analysis.factorials if a.at_headline}
    order = (Verdict.FAILS, Verdict.UNDECIDED, Verdict.INDICATIVE, Verdict.HOLDS)
    return next((v for v in order if v in found), Verdict.UNDECIDED)


def wording(analysis: Analysis, swings: Sequence[Swing] = ()) -> dict[str, Any]:
    """The whole of summary.json: headline, verdicts, evidence, conditions, and the rows of the closing tables.

    Args:
        analysis: All that follows from the tables.
        swings: Sensitivities of layers on the fleet.
    """
    named = {_name(analysis, a): a for a in analysis.factorials}
    return {
        "schema": SCHEMA,
        "headline": headline.headline(analysis, swings),
        "other_operating_points": headline.others(analysis, swings),
        "card": card(analysis),
        "canonical": analysis.stack.canonical,
        "effort": analysis.stack.effort,
        "layers": list(analysis.stack.layers),
        "workload": analysis.workload.get("words"),
        "text_only": text_only_note(analysis),
        "verdict": {n: {t.formula: t.verdict for t in a.totals.values() if t.verdict} for n, a in named.items()},
        "aa_noise_floor": {n: a.noise_floor.largest for n, a in named.items() if a.noise_floor is not None},
        "evidence": {n: a.factorial.evidence for n, a in named.items()},
        "totals": [_total(a) | occasions.facts(analysis, a) for a in analysis.headlines],
        "table": _table(analysis),
        "targets": [_target(t, analysis) for t in analysis.targets],
    }


def _total(a: FactorialAnalysis) -> dict[str, Any]:
    """One row of the table of totals: the joint saving, the product, their gap."""
    f, product = a.factorial, a.totals[Formula.INDEPENDENT]
    gap = product.gap or (None, None, None)
    return {
        "scene": f.scene,
        "bench": f.bench,
        "operating_point": f.operating_point,
        "resource": f.resource,
        "evidence": f.evidence,
        "resolution": a.resolution,
        **_ends("delta", a.joint),
        "draws": f.draws,
        "product": product.saving.value if product.saving else None,
        "gap": gap[0],
        "gap_lo": gap[1],
        "gap_hi": gap[2],
        "verdict": product.verdict if len(f.layers) > 1 else None,
        "held_in": product.held_in,
        "caveat": a.caveat,
        "one_start": f.one_start,
        "noise_floor": a.noise_floor.largest if a.noise_floor else None,
    }


def _table(analysis: Analysis) -> list[dict[str, Any]]:
    """The layer table of the headline resources, losses first."""
    rows = [_line(a, layer) for a in analysis.headlines for layer in a.layers]
    return sorted(rows, key=lambda r: losses_first(r["delta"], *(d["delta"] for d in r["disabled"])))


def _line(a: FactorialAnalysis, layer: LayerSaving) -> dict[str, Any]:
    f, alone = a.factorial, layer.share.alone
    return {
        "layer": layer.share.layer,
        "scene": f.scene,
        "bench": f.bench,
        "resource": f.resource,
        "operating_point": f.operating_point,
        "evidence": f.evidence,
        **_ends("delta", alone),
        "draws": alone.draws,
        "resolution": layer.resolution,
        "amounts": moved(f, alone.value) if far(alone.value) else None,
        "disabled": [d._asdict() for d in layer.disabled],
        "caveat": layer.caveat,
    }


def _ends(name: str, e: Sequence[float | None] | None) -> dict[str, float | None]:
    return dict(zip((name, "lo", "hi"), (e or (None, None, None))[:3], strict=True))


def _target(t: TargetAnswer, analysis: Analysis) -> dict[str, Any]:
    return {
        "target": t.target.words,
        "bench": t.bench,
        "resource": t.resource,
        "verdict": t.verdict,
        "margin": t.margin,
        **dict(zip(("joint", "joint_lo", "joint_hi"), t.joint[:3], strict=True)),
        "layers": list(t.best.layers),
        "best": t.best.verdict,
        **dict(zip(("best_saving", "best_lo", "best_hi"), t.best.saving[:3], strict=True)),
        "best_among": t.best.among,
        "draws": t.joint.draws,
        "unfit": unfit(analysis.quality, t.bench, _every_layer(analysis, t.bench), analysis.quality_limit),
        "best_unfit": unfit(analysis.quality, t.bench, cell_name(t.best.layers), analysis.quality_limit),
        "one_percent_modules": t.modules,
    }


def _every_layer(analysis: Analysis, bench: Bench) -> str:
    """The name of a bench's joint cell."""
    return cell_name(next(a.factorial.layers for a in analysis.factorials if a.factorial.bench is bench))


def _name(analysis: Analysis, a: FactorialAnalysis) -> str:
    f = a.factorial
    return f"{_where(analysis, f.scene, f.bench, f.operating_point)}.{f.resource}"


def _where(analysis: Analysis, scene: str, bench: Bench, operating_point: OperatingPoint) -> str:
    first = next((a.factorial.scene for a in analysis.factorials if a.factorial.bench is bench), scene)
    name = str(bench) if scene in {first, NO_SCENE, analysis.stack.scene} else f"{bench}@{scene}"
    return name if operating_point is HEADLINE[bench] else f"{name}_{operating_point}"


def _put(tree: dict[str, Any], path: list[str], name: str, numbers: Sequence[float | None]) -> None:
    """Set ``name``, ``name.lo`` and ``name.hi`` below ``path``; what is absent or not finite is left out."""
    known = [(s, n) for s, n in zip(("", ".lo", ".hi"), numbers, strict=False) if n is not None and math.isfinite(n)]
    if not known:
        return
    for key in path:
        tree = tree.setdefault(str(key), {})
    tree.update({f"{name}{suffix}": float(number) for suffix, number in known})
