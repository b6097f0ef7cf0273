"""The rows of the page's tables of layers, totals and errors: losses first, amounts where a percentage says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deltastack import formatting
from deltastack.amounts import amount, base_of, extra, losses_first, moved
from deltastack.evaluation.delta_summary import far
from deltastack.outcomes import COMPOSED, Formula

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deltastack.analysis.analysis import Analysis, FactorialAnalysis, LayerSaving
    from deltastack.analysis.attribution import Share
    from deltastack.analysis.disabled_techniques import DisabledTechnique
    from deltastack.analysis.factorial import Factorial
    from deltastack.analysis.overprediction import Overprediction

Row = dict[str, Any]


def head(f: Factorial) -> Row:
    """Where a row stands, and of which resource it speaks."""
    where, resource = formatting.place(f.bench, f.operating_point), formatting.resource(f.bench, f.resource)
    return {"bench": str(f.bench), "where": where, "resource": resource}


def totals(analysis: Analysis) -> list[Row]:
    """One row a factorial: joint saving, then each formula with gap and verdict; losses first."""
    rows = [_total(a, formulas(analysis)) for a in analysis.factorials]
    return sorted(rows, key=lambda r: losses_first(r["joint"].value if r["joint"] else None))


def formulas(analysis: Analysis) -> tuple[Formula, ...]:
    """The columns of the table of totals; by mechanism only where one was measured."""
    shared = any(a.totals[Formula.BY_MECHANISM].saving is not None for a in analysis.factorials)
    return tuple(n for n in COMPOSED if shared or n is not Formula.BY_MECHANISM)


def _total(a: FactorialAnalysis, shown: tuple[Formula, ...]) -> Row:
    f = a.factorial
    return head(f) | {
        "evidence": f.evidence,
        "headline": a.headline,
        "caveat": a.caveat,
        "resolution": a.resolution,
        "floor": formatting.floor_note(a.noise_floor),
        "overprediction": {n: share_of_samples(p) for n, p in a.overprediction.items()},
        "joint": a.joint,
        "formulas": {n: a.totals[n] for n in shown},
        "amounts": _total_in_amounts(a),
    }


def share_of_samples(p: Overprediction) -> str:
    """A count of draws, or a share of resamples, for a cell of a table: ``3 of 5``, ``95 %``."""
    return f"{p.more} of {p.of}" if p.units is None else f"{100 * p.rate:.0f} %"


def _total_in_amounts(a: FactorialAnalysis) -> Row | None:
    """What the joint run and the formulas spend, and the gaps between them; None where percentages are readable."""
    f = a.factorial
    known = {n: t for n, t in a.totals.items() if t.saving is not None}
    if a.joint is None or not any(far(t.saving.value) for t in known.values() if t.saving):
        return None
    return {
        "joint": moved(f, a.joint.value),
        "formulas": {n: amount(base_of(f) * (1 - t.saving.value), f.resource) for n, t in known.items() if t.saving},
        "gaps": {n: extra(f, -t.gap.value) for n, t in known.items() if t.gap},
    }


def overpredictions(analysis: Analysis) -> list[str]:
    """How often the product predicts more than the joint run gives: one sentence a headline factorial."""
    found = []
    for a in analysis.headlines:
        product, f = a.overprediction.get(Formula.INDEPENDENT), a.factorial
        if product is not None:
            where = f"{formatting.resource(f.bench, f.resource)}, {f.bench} bench {f.operating_point}".replace("_", " ")
            found.append(f"{where}: {samples(product)} the product predicts more than the joint run gives.")
    return found


def samples(p: Overprediction) -> str:
    """A count of draws, or a share of resamples, in a sentence.

    >>> from deltastack.analysis.overprediction import Overprediction
    >>> samples(Overprediction(Formula.INDEPENDENT, 4, 5, None)), samples(Overprediction(Formula.INDEPENDENT, 1900, 2000, 4))
    ('in 4 of 5 draws', 'in 95 % of 2,000 resamples of 4 blocks')
    """
    if p.units is None:
        return f"in {p.more} of {p.of} draws"
    return f"in {100 * p.rate:.0f} % of {p.of:,} resamples of {p.units} {p.unit}"


def shares(analysis: Analysis) -> list[Row]:
    """Every layer's saving by factorial: losses first; ``headline`` marks the headline resources."""
    found = [_share(a, layer) for a in analysis.factorials for layer in a.layers]
    return sorted(found, key=lambda r: losses_first(r["alone"].value, *(d.delta for d in r["disabled"])))


def _share(a: FactorialAnalysis, layer: LayerSaving) -> Row:
    s = layer.share
    return head(a.factorial) | {
        "layer": s.layer.replace("_", " "),
        "evidence": a.factorial.evidence,
        "headline": a.headline,
        "alone": s.alone,
        "resolution": layer.resolution,
        "main_effect": s.main_effect,
        "leave_one_out": s.leave_one_out,
        "shapley": s.shapley,
        "range": (formatting.percent(s.least), formatting.percent(s.greatest)),
        "caveat": layer.caveat,
        "disabled": layer.disabled,
        "amounts": _share_in_amounts(a.factorial, s),
    }


def disabled(techniques: Iterable[DisabledTechnique]) -> str:
    """What disabled techniques would do alone.

    >>> from deltastack.analysis.disabled_techniques import DisabledTechnique as D
    >>> disabled([D("a", -0.5, -0.6, -0.4), D("b", 0.021, None, None), D("c", -11.0, -12.0, -9.0)])
    'a would cost 50.0 % [-60.0, -40.0], b would save 2.1 %, c would spend 12 times as much'
    """
    return ", ".join(f"{d.technique}{f', which {d.caveat},' if d.caveat else ''} would {_would(d)}" for d in techniques)


def _would(d: DisabledTechnique) -> str:
    if far(d.delta):
        return f"spend {formatting.change(d.delta)}"
    told = "" if d.low is None or d.high is None else f" {formatting.ends((d.low, d.high), draws=d.draws)}"
    return f"{'cost' if d.delta < 0 else 'save'} {formatting.percent(abs(d.delta)).lstrip('+')}{told}"


def _share_in_amounts(f: Factorial, s: Share) -> str | None:
    """What a layer spends alone, leave-one-out and by its Shapley share; None where percentages are readable.

    Where one layer spends many times the base, another one may save many times the base.
    """
    others = {"leave-one-out": s.leave_one_out, "Shapley share": s.shapley}
    values = [s.least, s.greatest, *(e.value for e in (s.alone, *others.values()) if e is not None)]
    if not any(far(v) or far(-v) for v in values if v is not None):
        return None
    told = [f"{name} {extra(f, e.value)}" for name, e in others.items() if e is not None]
    return "; ".join([f"alone {moved(f, s.alone.value)}", *told])


def formula_errors(analysis: Analysis) -> list[Row]:
    """Each formula's error over all cells with two or more layers, by factorial."""
    return [_error(a) for a in analysis.factorials if a.errors]


def _error(a: FactorialAnalysis) -> Row:
    f = a.factorial
    beyond = any(far(-e.root_mean_square.value) for e in a.errors)
    return head(f) | {
        "headline": a.headline,
        "cells": a.errors[0].cells,
        "errors": a.errors,
        "amounts": [amount(base_of(f) * e.root_mean_square.value, f.resource) for e in a.errors] if beyond else None,
    }
