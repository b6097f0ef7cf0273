"""What a factorial says: frozen values, and the JSON form of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deltastack.answer import Answer
from deltastack.errors import FactorialError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import altair as alt
    import pandas as pd

SIGN = (
    "saving = (base - optimized) / base of the resource a unit of work takes; above 0 is less use; 1 - base / optimized of a rate"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavingEstimate:
    """A saving, or a difference of savings, as a fraction; None with its reason where it cannot be formed."""

    delta: float | None
    lo: float | None
    hi: float | None
    n: int
    """Runs of the cell with the fewest, or blocks."""
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; ``reason`` only where there is one."""
        said = {"reason": self.reason} if self.reason else {}
        return {"delta": self.delta, "lo": self.lo, "hi": self.hi, "n": self.n, **said}


@dataclass(frozen=True, slots=True, kw_only=True)
class InteractionEstimate:
    """A log interaction with the other layers off: above 0 the layers save less together than the product says."""

    value: float | None
    lo: float | None
    hi: float | None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        said = {"reason": self.reason} if self.reason else {}
        return {"value": self.value, "lo": self.lo, "hi": self.hi, **said}


@dataclass(frozen=True, slots=True, kw_only=True)
class MechanismAlone:
    """A mechanism: the layers that use it, and what it saves alone."""

    of: tuple[str, ...]
    alone: SavingEstimate

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"of": list(self.of), "alone": self.alone.to_dict()}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One setting."""

    metric: str
    higher_is_better: bool
    layers: tuple[str, ...]
    setting: Mapping[str, str]
    tolerance: float
    confidence: float
    runs: Mapping[str, int]
    """Runs of each cell that has any; the key is a digit for each layer, 1 = on."""
    alone: Mapping[str, SavingEstimate]
    joint: SavingEstimate
    predicted: Mapping[str, SavingEstimate]
    gap: Mapping[str, SavingEstimate]
    """Formula - joint, as a fraction: above 0 the formula promises too much."""
    verdicts: Mapping[str, str]
    interactions: Mapping[str, InteractionEstimate]
    shapley: Mapping[str, SavingEstimate]
    missing_cells: tuple[str, ...]
    confounded: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    mechanisms: Mapping[str, MechanismAlone] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """Whether the product of the single savings holds."""
        return self.verdicts["independent"]

    @property
    def setting_words(self) -> str:
        """The setting in words; ``all runs`` where there is one only."""
        return ", ".join(f"{k} {v}" for k, v in self.setting.items()) or "all runs"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "metric": self.metric,
            "higher_is_better": self.higher_is_better,
            "layers": list(self.layers),
            "setting": dict(self.setting),
            "sign": SIGN,
            "tolerance": self.tolerance,
            "confidence": self.confidence,
            "runs": dict(self.runs),
            "alone": {k: v.to_dict() for k, v in self.alone.items()},
            "joint": self.joint.to_dict(),
            "predicted": {k: v.to_dict() for k, v in self.predicted.items()},
            "gap": {k: v.to_dict() for k, v in self.gap.items()},
            "verdict": self.verdict,
            "verdicts": dict(self.verdicts),
            "interactions": {k: v.to_dict() for k, v in self.interactions.items()},
            "shapley": {k: v.to_dict() for k, v in self.shapley.items()},
            **({"mechanisms": {k: v.to_dict() for k, v in self.mechanisms.items()}} if self.mechanisms else {}),
            "missing_cells": list(self.missing_cells),
            "confounded": [list(g) for g in self.confounded],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorialResult(Answer):
    """All settings of one source."""

    source: str
    cases: tuple[CaseResult, ...] = field(default=())

    @property
    def only(self) -> CaseResult:
        """The one setting.

        Raises:
            FactorialError: There are several.
        """
        if len(self.cases) != 1:
            raise FactorialError(f"{self.source}: {len(self.cases)} settings; take one of `cases`")
        return self.cases[0]

    @property
    def verdict(self) -> str:
        """The verdict on the product if every setting has the same, else ``mixed``."""
        words = {c.verdict for c in self.cases}
        return words.pop() if len(words) == 1 else "mixed"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the setting itself if there is one, else ``settings`` with one entry each."""
        if len(self.cases) == 1:
            return {"source": self.source, **self.only.to_dict()}
        metrics, layers = {c.metric for c in self.cases}, {c.layers for c in self.cases}
        return {
            "source": self.source,
            "metric": metrics.pop() if len(metrics) == 1 else None,
            "layers": list(layers.pop()) if len(layers) == 1 else None,
            "verdict": self.verdict,
            "settings": [c.to_dict() for c in self.cases],
        }

    def to_frame(self) -> pd.DataFrame:
        """One row a setting and number: each layer alone, all together, each formula's prediction and its gap; fractions."""
        import pandas as pd

        rows = [
            {"setting": c.setting_words, "kind": kind, "name": name, **e.to_dict()}
            for c in self.cases
            for kind, found in _numbers(c)
            for name, e in found.items()
        ]
        return pd.DataFrame(rows).reindex(columns=["setting", "kind", "name", "delta", "lo", "hi", "n", "reason"])

    def _chart(self) -> alt.Chart:
        import altair as alt

        rows = self.to_frame()
        rows = rows[rows["kind"] != "gap"]
        base = alt.Chart(rows, title="Saving of each layer alone, predicted and together").encode(y=alt.Y("name").sort(None))
        points = base.mark_point(filled=True, size=90).encode(x=alt.X("delta").axis(format="%"), color="kind")
        found: alt.Chart = (points + base.mark_rule().encode(x="lo", x2="hi", color="kind")).facet(row="setting")
        return found

    def __str__(self) -> str:
        """The text of ``deltastack factorial``."""
        from deltastack.own_runs.text import text

        return text(self)


def _numbers(case: CaseResult) -> tuple[tuple[str, Mapping[str, SavingEstimate]], ...]:
    return ("alone", case.alone), ("together", {"joint": case.joint}), ("predicted", case.predicted), ("gap", case.gap)
