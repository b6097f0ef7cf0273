"""The fewest cells from which a formula predicts every other cell to a wanted error: shared mechanisms first, then pairs.

With M the mechanisms and P the pairs that were run, what a set S of layers leaves is predicted as

    ln(1 - Δ_S) = Σ_{l in S} ln(1 - Δ_l) - Σ_{m in M} (n_m(S) - 1)+ ln(1 - μ_m) + Σ_{p in P, p inside S} r_p

n_m(S) layers of S use mechanism m (``composition.mechanisms``), and r_p is what is left of pair p after its mechanisms: the pair
measured minus the pair predicted from M alone. Its error is the largest gap over all cells that were run, in points.

Mechanisms come first: one cell mends every set that shares it, a pair only those that hold it. Of the pairs the fewest that
reach the error are taken, by trying all sets of one, of two and so on while there are ``MOST_SETS`` or fewer, beyond that by
adding the best one each time. Before pairs are run they are ranked by |ln(1 - Δ_i)| |ln(1 - Δ_j)|: where both do little, so can
their interaction (assumed).

Source: this project.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING

from deltastack.composition import counted_again
from deltastack.errors import ParamsError
from deltastack.model import MECHANISM, cell_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Cell = frozenset[str]
LEAST = 2
MOST_SETS = 5000
"""Sets of pairs that are tried of one size."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was run: the log amount of cells, the base among them, and of mechanisms alone."""

    cells: Mapping[Cell, float]
    mechanisms: Mapping[str, float] = field(default_factory=dict)

    def left(self, cell: Cell) -> float:
        """ln(1 - Δ) of a cell."""
        return self.cells[cell] - self.cells[frozenset()]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPlan:
    """The cells to run, and how far the formula that they feed is off; None before anything is run."""

    layers: tuple[str, ...]
    mechanisms: tuple[str, ...]
    """Shared ones whose cell belongs to the plan."""
    pairs: tuple[Cell, ...]
    """Pairs whose cell belongs to the plan."""
    following: tuple[Cell, ...]
    """Pairs that were not run, the first to run next."""
    product_error: float | None
    error: float | None
    """The largest gap over all cells that were run, as a fraction."""
    worst: str | None
    """The cell with it."""
    wanted: float
    counted_again: tuple[str, ...]
    """What a product does that counts a shared mechanism more than once."""

    @property
    def names(self) -> tuple[str, ...]:
        """The cells by name, in the order to run them: the check, all layers together, last."""
        shared = [f"{MECHANISM}{m}" for m in self.mechanisms]
        return ("base", *self.layers, *shared, *map(cell_name, self.pairs), cell_name(self.layers))

    @property
    def all_cells(self) -> int:
        """Cells of the full factorial."""
        return 1 << len(self.layers)

    @property
    def reached(self) -> bool | None:
        """Whether the error is the wanted one; None before anything is run."""
        return None if self.error is None else self.error <= self.wanted + _ROUNDING

    @property
    def words(self) -> str:
        """The plan in a sentence or two."""
        counts = (("shared mechanism", self.mechanisms), ("pair", self.pairs))
        more = "".join(f", {len(x)} {n}{'s' if len(x) > 1 else ''}" for n, x in counts if x)
        said = f"{len(self.names)} cells instead of {self.all_cells}: the base, {len(self.layers)} alone{more}, and all together"
        if self.error is None or self.product_error is None:
            return f"{said}. Then give the table to deltastack plan: it names the pairs that are needed, if any"
        off = f"{100 * self.error:.1f} points at worst ({self.worst}), the product by {100 * self.product_error:.1f}"
        end = "reached" if self.reached else "not reached"
        following = f"; run next: {', '.join(map(cell_name, self.following[:3]))}" if self.following and not self.reached else ""
        return f"{said}. Off by {off}; wanted {100 * self.wanted:g}: {end}{following}"

    def csv(self) -> str:
        """A table to fill in, one row a cell, for ``deltastack factorial``."""
        heads = (*self.layers, *self.mechanisms)
        rows = [self._switches(name) for name in self.names]
        return "\n".join([",".join((*heads, "repeat", "metric")), *(f"{','.join(r)},1," for r in rows)])

    def _switches(self, name: str) -> list[str]:
        on = {name.removeprefix(MECHANISM)} if name.startswith(MECHANISM) else set(name.split("+"))
        return [str(int(x in on)) for x in (*self.layers, *self.mechanisms)]


def cell_plan(layers: Sequence[str], uses: Mapping[str, Sequence[str]], *, wanted: float, known: Known | None = None) -> CellPlan:
    """The plan of some layers.

    Args:
        layers: Two or more.
        uses: By mechanism, the layers that use it.
        wanted: The largest gap, as a fraction.
        known: What was run already; cells that lack are no checks.

    Raises:
        ParamsError: Layers named twice or too few, a mechanism of an unknown layer, or cells that the singles lack.
    """
    _check(layers, uses, wanted, known)
    shared = {m: of for m, of in uses.items() if len(of) > 1}
    again = tuple(x for m, of in shared.items() if (x := counted_again(m, of)) is not None)
    every = [frozenset(p) for p in combinations(layers, 2)] if len(layers) > LEAST else []
    if known is None:
        chosen, error, worst, product = tuple(shared), None, None, None
        pairs: tuple[Cell, ...] = ()
        following = tuple(sorted(every, key=lambda p: -sum(p <= set(of) for of in shared.values())))
    else:
        product = worst_error(known, {}, ())[0]
        chosen = () if product <= wanted + _ROUNDING else tuple(m for m in shared if m in known.mechanisms)
        taken = {m: shared[m] for m in chosen}
        pairs = _fewest(known, taken, [p for p in every if p in known.cells], wanted)
        error, worst = worst_error(known, taken, pairs)
        following = tuple(sorted((p for p in every if p not in known.cells), key=lambda p: -_weight(known, p)))
        chosen += () if error <= wanted + _ROUNDING else tuple(m for m in shared if m not in known.mechanisms)
    return CellPlan(
        layers=tuple(layers),
        mechanisms=chosen,
        pairs=pairs,
        following=following,
        product_error=product,
        error=error,
        worst=worst,
        wanted=wanted,
        counted_again=again,
    )


def predicted(known: Known, uses: Mapping[str, Sequence[str]], pairs: Sequence[Cell], cell: Cell) -> float:
    """ln(1 - Δ) of a cell from singles, mechanisms and pairs."""
    base = known.cells[frozenset()]
    total = sum(known.left(frozenset({x})) for x in cell)
    total -= sum(max(len(cell & set(of)) - 1, 0) * (known.mechanisms[m] - base) for m, of in uses.items())
    return total + sum(known.left(p) - predicted(known, uses, (), p) for p in pairs if p <= cell)


def worst_error(known: Known, uses: Mapping[str, Sequence[str]], pairs: Sequence[Cell] = ()) -> tuple[float, str | None]:
    """The largest gap over the cells with two layers or more, a fraction of the base, and the cell that has it.

    Args:
        known: What was run.
        uses: By mechanism, the layers that use it; none gives the error of the product.
        pairs: Pairs that correct the prediction.
    """
    several = [c for c in known.cells if len(c) > 1]
    gaps = [abs(math.exp(known.left(c)) - math.exp(predicted(known, uses, pairs, c))) for c in several]
    return max(zip(gaps, map(cell_name, several), strict=True), default=(0.0, None), key=lambda x: x[0])


def _fewest(known: Known, uses: Mapping[str, Sequence[str]], pairs: Sequence[Cell], wanted: float) -> tuple[Cell, ...]:
    """The fewest pairs that reach the wanted error; those with the least error where none does."""
    best: tuple[Cell, ...] = ()
    for n in range(len(pairs) + 1):
        few = math.comb(len(pairs), n) <= MOST_SETS
        tried = combinations(pairs, n) if few else ((*best, p) for p in pairs if p not in best)
        found = min(tried, key=lambda some: worst_error(known, uses, some)[0])
        better = worst_error(known, uses, found)[0] < worst_error(known, uses, best)[0]
        best = found if better or not n else best
        if worst_error(known, uses, best)[0] <= wanted + _ROUNDING:
            break
    return best


def _weight(known: Known, pair: Cell) -> float:
    """How large an interaction may be: the product of both layers' own effects."""
    return math.prod(abs(known.left(frozenset({x}))) for x in pair)


def _check(layers: Sequence[str], uses: Mapping[str, Sequence[str]], wanted: float, known: Known | None) -> None:
    shown = ", ".join(layers) or "none"
    if len(layers) < LEAST or len(set(layers)) < len(layers):
        raise ParamsError(f"layers {shown}: wanted {LEAST} or more different ones")
    if not 0 < wanted < 1:
        raise ParamsError(f"wanted error {wanted:g}: wanted a fraction between 0 and 1, such as 0.02 for 2 points")
    for m, of in uses.items():
        if unknown := sorted(set(of) - set(layers)):
            raise ParamsError(f"mechanism {m} of {', '.join(of)}: {', '.join(unknown)} is no layer; there are: {shown}")
    needed = [frozenset[str](), *(frozenset({x}) for x in layers)]
    if known is not None and (lacking := [cell_name(c) for c in needed if c not in known.cells]):
        raise ParamsError(f"not run: {', '.join(lacking)}; every plan needs the base and each layer alone: add their runs")
