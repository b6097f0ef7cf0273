"""``compose``: single savings composed by the formulas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltastack import composition
from deltastack.answer import Answer
from deltastack.errors import FormulaError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import altair as alt
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed(Answer):
    """Total savings by formula, as signed fractions."""

    deltas: tuple[float, ...]
    predicted: Mapping[str, float]
    """``independent`` is the product of what is left; ``weighted`` is there where weights were given."""

    def __getattr__(self, name: str) -> float:
        """``composed.independent``.

        Raises:
            AttributeError: No such formula here.
        """
        if name in {"predicted", "deltas"} or name not in self.predicted:
            raise AttributeError(name)
        return self.predicted[name]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: a total by formula."""
        return dict(self.predicted)

    def to_frame(self) -> pd.DataFrame:
        """One row a formula: its saving, and the speed-up that goes with it (null where nothing is left)."""
        import pandas as pd

        rows = [(n, v, composition.delta_to_gain(v) if v < 1 else None) for n, v in self.predicted.items()]
        return pd.DataFrame(rows, columns=["formula", "saving", "speed_up"])

    def _chart(self) -> alt.Chart:
        import altair as alt

        bars = alt.Chart(self.to_frame(), title="Saving predicted").mark_bar()
        found: alt.Chart = bars.encode(x=alt.X("saving").axis(format="%"), y="formula")
        return found

    def __str__(self) -> str:
        """One line a formula."""
        return "\n".join(f"{name:<12} {100 * value:+.1f} %" for name, value in self.predicted.items())


def compose(deltas: Sequence[float], weights: Sequence[float] | None = None) -> Composed:
    """Compose single savings into what formulas predict of all together.

    >>> print(compose([0.10, 0.15]))
    independent  +23.5 %

    Args:
        deltas: Savings alone, signed: 0.10 for 10 %, at most 1.
        weights: The share of the resource that each layer acts on, 1 in sum; None leaves ``weighted`` out.

    Raises:
        FormulaError: Nothing to compose, weights without their savings, or values outside a formula's domain.
    """
    if not deltas:
        raise FormulaError("nothing to compose: give at least one saving")
    if weights is not None and len(weights) != len(deltas):
        raise FormulaError(f"{len(weights)} weights for {len(deltas)} savings: wanted one weight for each saving")
    found = {"independent": composition.independent(list(deltas))}
    if weights is not None:
        found["weighted"] = composition.weighted(list(deltas), list(weights))
    return Composed(deltas=tuple(deltas), predicted=found)
