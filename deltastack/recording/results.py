"""What a recording says: each layer alone, every formula and the joint saving, computed from its runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltastack.analysis import formula_totals, noise_floor
from deltastack.analysis.attribution import shares
from deltastack.analysis.factorial import factorials
from deltastack.analysis.occasions import Circumstances
from deltastack.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    found, _ = factorials(plain, manifest.layers, mechanisms=manifest.mechanisms)
    return tuple(_outcome(f, manifest, floors.get((f.operating_point, f.resource)), tolerance, confidence) for f in found)


def _outcome(f: Factorial, manifest: Manifest, floor: Floor | None, tolerance: float, confidence: float) -> Outcome:
    at = Circumstances(measured=manifest.recorded_at, loud=manifest.loud)
    held = formula_totals.held(f, tolerance=tolerance, confidence=confidence, at=at)
    alone = {s.layer: s.alone for s in shares(f, confidence)}
    return Outcome(manifest=manifest, factorial=f, totals=held.totals, errors=held.errors, alone=alone, floor=floor)
