"""The rows of the page's tables of layers, totals and errors: losses first, amounts where a percentage says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from deltastack.analysis import formula_error
from deltastack.analysis.disabled_techniques import off_here
from deltastack.analysis.overprediction import promises
from deltastack.evaluation.delta_summary import far
from deltastack.model import cell_name
from deltastack.report.text import formatting, headline
from deltastack.report.text.amounts import amount, base_of, extra, losses_first, moved

if TYPE_CHECKING:
    from deltastack.analysis.attribution import Share
    from deltastack.analysis.factorial import Factorial
    from deltastack.analysis.results import Results

Row = dict[str, Any]


def head(f: Factorial) -> Row:
    """Where a row stands, and of which resource it speaks."""
    return {"where": f"{f.bench}, {f.operating_point}".replace("_", " "), "resource": formatting.resource(f.bench, f.resource)}


def totals(results: Results) -> list[Row]:
    """One row a bench, basis and resource: joint, then each formula with gap and verdict; losses first."""
    return sorted((_total(results, f) for f in results.found), key=lambda r: losses_first(r["joint"]["delta"]))


def _total(results: Results, f: Factorial) -> Row:
    rows = {r["formula"]: r for r in formatting.rows_of(results, f)}
    joint = rows.pop("joint")
    return head(f) | {
        "evidence": f.evidence,
        "spoken": f in formatting.spoken(results),
        "late": results.objection(f, cell_name(f.layers)),
        "word": headline.joint_word(results, f, joint),
        "floor": formatting.floor_note(results.floor(f)),
        "promises": promises(f),
        "joint": joint,
        "formulas": rows,
        "amounts": _total_in_amounts(f, joint, rows),
    }


def _total_in_amounts(f: Factorial, joint: Row, rows: dict[str, Row]) -> Row | None:
    """What the joint run and the formulas spend, and the gaps between them; None where percentages tell it."""
    known = {n: r for n, r in rows.items() if _there(r["delta"])}
    if not any(far(r["delta"]) for r in (joint, *known.values())):
        return None
    return {
        "joint": moved(f, joint["delta"]),
        "formulas": {n: amount(base_of(f) * (1 - r["delta"]), f.resource) for n, r in known.items()},
        "gaps": {n: extra(f, -r["gap"]) for n, r in known.items()},
    }


def _there(value: Any) -> bool:
    return bool(pd.notna(value))


def promised(results: Results) -> list[str]:
    """In how many draws, or resamples of blocks, the product promises more than the joint run gives: one sentence each."""
    found = []
    for f in formatting.spoken(results):
        product = promises(f).get("independent")
        if product is not None:
            where = f"{formatting.resource(f.bench, f.resource)}, {f.bench} bench {f.operating_point}".replace("_", " ")
            found.append(f"{where}: {product.words} the product promises more than the joint run gives.")
    return found


def shares(results: Results) -> list[Row]:
    """Every layer's Δ by bench, basis and resource: losses first; ``spoken`` marks the headline resources."""
    found = [_share(results, f, s) for f in results.found for s in results.shares(f)]
    return sorted(found, key=lambda r: losses_first(r["alone"].value, *(o.delta for o in r["off"])))


def _share(results: Results, f: Factorial, s: Share) -> Row:
    return head(f) | {
        "layer": s.layer.replace("_", " "),
        "evidence": f.evidence,
        "spoken": f in formatting.spoken(results),
        "alone": s.alone,
        "word": formatting.resolved(*s.alone, results.floor(f)),
        "averaged": s.averaged,
        "last_in": s.last_in,
        "shapley": s.shapley,
        "range": f"{formatting.percent(s.least)} to {formatting.percent(s.greatest)}",
        "late": results.objection(f, cell_name([s.layer])),
        "off": off_here(results, f, s.layer) if s.alone.value == 0 else [],
        "amounts": _share_in_amounts(f, s),
    }


def _share_in_amounts(f: Factorial, s: Share) -> str | None:
    """What a layer spends alone, last in and by its Shapley share; None where percentages tell it.

    Beside a layer of so many times the base, another one may save many times the base.
    """
    others = {"last in": s.last_in, "Shapley share": s.shapley}
    values = [s.least, s.greatest, *(e.value for e in (s.alone, *others.values()) if e is not None)]
    if not any(far(v) or far(-v) for v in values if v is not None):
        return None
    told = [f"{name} {extra(f, e.value)}" for name, e in others.items() if e is not None]
    return "; ".join([f"alone {moved(f, s.alone.value)}", *told])


def formula_errors(results: Results) -> list[Row]:
    """Each formula's error over all cells with two or more layers, by factorial."""
    return [_error(results, f) for f in results.found if formula_error.several(f)]


def _error(results: Results, f: Factorial) -> Row:
    errors = formula_error.errors(f, results.stack.confidence)
    beyond = any(far(-e.root_mean_square.value) for e in errors)
    return head(f) | {
        "spoken": f in formatting.spoken(results),
        "cells": len(formula_error.several(f)),
        "errors": errors,
        "amounts": [amount(base_of(f) * e.root_mean_square.value, f.resource) for e in errors] if beyond else None,
    }
