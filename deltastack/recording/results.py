"""What a recording says: each layer alone, every formula and the joint saving, computed from its runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deltastack import composition
from deltastack.analysis import formula_totals, noise_floor
from deltastack.analysis.attribution import shares
from deltastack.analysis.factorial import factorials
from deltastack.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from deltastack.analysis.factorial import Factorial
    from deltastack.analysis.formula_totals import ErrorOverCells, Total
    from deltastack.outcomes import Formula
    from deltastack.recording.bundle import Manifest, Recording
    from deltastack.statistics import Estimate
    from deltastack.statistics.aa_noise import Floor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """One resource of a recording."""

    manifest: Manifest
    factorial: Factorial
    totals: Mapping[Formula, Total]
    errors: tuple[ErrorOverCells, ...]
    alone: Mapping[str, Estimate]
    floor: Floor | None
    """Between the base and its twin; None without a twin."""
    by_mechanism: ByMechanism | None
    """None where no mechanism was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByMechanism:
    """The product with shared mechanisms counted once, held against every cell."""

    saving: float
    gap: float
    """Of the whole stack; formula minus joint."""
    worst_gap: float
    worst: tuple[str, ...]
    """The layers of the cell with the largest gap."""


def outcomes(recording: Recording, *, tolerance: float, confidence: float) -> tuple[Outcome, ...]:
    """Every resource of which the recording has a factorial.

    Raises:
        InputError: Rows of another bench or host than the manifest names.
        EvidenceError: No full factorial.
    """
    joint, manifest = recording.tables["joint"], recording.manifest
    for column, wanted in (("bench", str(manifest.bench)), ("host", manifest.host)):
        other = [str(v) for v in joint[column].unique() if str(v) != wanted]
        if other:
            raise InputError(f"recording {manifest.name}: its runs have {column} '{other[0]}', its manifest says '{wanted}'")
    plain, floors = noise_floor.split(joint)
    found, _ = factorials(plain, manifest.layers)
    shared = recording.tables.get("delta/mechanism")
    return tuple(
        _outcome(f, manifest, floors.get((f.operating_point, f.resource)), (tolerance, confidence), shared) for f in found
    )


def _outcome(
    f: Factorial, manifest: Manifest, floor: Floor | None, terms: tuple[float, float], shared: pd.DataFrame | None
) -> Outcome:
    tolerance, confidence = terms
    held = formula_totals.held(f, tolerance=tolerance, confidence=confidence)
    return Outcome(
        manifest=manifest,
        factorial=f,
        totals=held.totals,
        errors=held.errors,
        alone={s.layer: s.alone for s in shares(f, confidence)},
        floor=floor,
        by_mechanism=None if shared is None else by_mechanism(f, manifest.mechanisms, shared),
    )


def by_mechanism(f: Factorial, sharing: Mapping[str, tuple[str, ...]], alone: pd.DataFrame) -> ByMechanism | None:
    """``composition.by_mechanism`` from mean amounts, in every cell with two layers or more.

    Args:
        f: The factorial.
        sharing: The layers that share each mechanism.
        alone: Each mechanism alone against the base (contract DELTA), by its name in ``technique``.

    Returns:
        None where a mechanism was not read, or no cell has two layers.
    """
    rows = alone[alone["resource"] == str(f.resource)].groupby("technique")[["base", "optimized"]].sum(min_count=1)
    read = rows.reindex(list(sharing)).to_numpy(float)
    if not sharing or np.isnan(read).any():
        return None
    mechanisms = [1 - optimized / base for base, optimized in read.tolist()]
    left = f.totals.mean(axis=1)
    gaps = {}
    for m in (m for m in f.ran if m.bit_count() > 1):
        singles = [i for i in range(len(f.layers)) if m >> i & 1]
        deltas = [1 - float(left[1 << i] / left[0]) for i in singles]
        uses = [[f.layers[i] in layers for layers in sharing.values()] for i in singles]
        gaps[m] = composition.by_mechanism(deltas, mechanisms, uses) - (1 - float(left[m] / left[0]))
    if f.full not in gaps:
        return None
    worst = max(gaps, key=lambda m: abs(gaps[m]))
    saving = gaps[f.full] + 1 - float(left[f.full] / left[0])
    return ByMechanism(saving=saving, gap=gaps[f.full], worst_gap=gaps[worst], worst=f.cell(worst))
