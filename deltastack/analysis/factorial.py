"""The factorial as arrays: one block of amounts for each scene, bench, operating point and resource of a joint table.

Axes: cells (2^k, bit i set where layer i is on), components C, samples S. On the fleet a sample is a draw of the model's
parameters (sample 0 the central values); on the testbed it is a block of runs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from deltastack import statistics
from deltastack.errors import EvidenceError
from deltastack.model import (
    MECHANISM,
    NO_SCENE,
    Bench,
    Component,
    Evidence,
    OperatingPoint,
    Resource,
    cell_name,
    cell_of,
    weakest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray


NO_BASE = "the base spends nothing of it, so there is no share to save"
DEFAULT_SCENE = NO_SCENE
"""What a table without a column ``scene`` speaks of."""


Key = tuple[str, Bench, OperatingPoint, Resource]
"""Scene, bench, operating point, resource."""
LEAST_PAIRS = 4
"""With fewer pairs the difference between pairs cannot be tested, and an interval over two pairs is four times as wide as one
over their blocks. The interval over blocks covers 88 % instead of 95 % if the halves of a pair correlate by 0.5 (tests)."""


class Mechanism(NamedTuple):
    """A mechanism run alone with every layer off."""

    name: str
    of: tuple[str, ...]
    """The layers that use it."""
    amounts: NDArray[np.float64]
    """Over all components, (S,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factorial:
    """Amounts (2^k, C, S) of one resource in every cell; those of a cell that a planned half leaves out are NaN."""

    bench: Bench
    operating_point: OperatingPoint
    resource: Resource
    layers: tuple[str, ...]
    components: tuple[Component, ...]
    amounts: NDArray[np.float64]
    evidence: Evidence
    canonical: bool
    starts: tuple[int, ...] | None = None
    """The process start of each sample (S,); None where samples have none."""
    blocks: tuple[int, ...] | None = None
    """The number of each sample's block in its process start (S,); None where samples have none."""
    scene: str = DEFAULT_SCENE
    """The deployment and load that were run (params/scenes)."""

    mechanisms: tuple[Mechanism, ...] = ()
    """Mechanisms that were run alone, and the layers that use them."""

    time: Factorial | None = None
    """Accelerator time of the same cells, where this is another resource at the trace's own arrivals: idle follows from it."""

    @property
    def derived(self) -> int | None:
        """The place of ``idle`` where it is what others leave of a fleet that is provisioned; None where it is a reading."""
        fixed = self.drawn and self.operating_point is OperatingPoint.AT_TRACE
        return self.components.index(Component.IDLE) if fixed and Component.IDLE in self.components else None

    @property
    def key(self) -> Key:
        """What it is the factorial of."""
        return self.scene, self.bench, self.operating_point, self.resource

    @property
    def nests(self) -> dict[str, NDArray[np.intp]]:
        """Nesting of the blocks; empty if process starts were not recorded."""
        return {} if self.starts is None else nests(self.starts, self.blocks)

    @property
    def totals(self) -> NDArray[np.float64]:
        """Amounts over all components, (2^k, S)."""
        summed: NDArray[np.float64] = self.amounts.sum(axis=1)
        return summed

    @property
    def singles(self) -> tuple[int, ...]:
        """Places of the cells with exactly one layer on, in the order of ``layers``."""
        return tuple(1 << i for i in range(len(self.layers)))

    @property
    def full(self) -> int:
        """Place of the cell with every layer on."""
        return (1 << len(self.layers)) - 1

    @property
    def ran(self) -> tuple[int, ...]:
        """Places of the cells that were run, ascending."""
        there = ~np.isnan(self.amounts).any(axis=(1, 2))
        return tuple(int(m) for m in np.flatnonzero(there))

    def cell(self, m: int) -> tuple[str, ...]:
        """The layers that are on in the cell at place ``m``."""
        return tuple(layer for i, layer in enumerate(self.layers) if m >> i & 1)

    def place_of(self, cell: Iterable[str]) -> int:
        """The place of the cell with just these layers on."""
        return place(frozenset(cell), self.layers)

    @property
    def whole(self) -> bool:
        """Whether every cell was run."""
        return len(self.ran) == len(self.amounts)

    @property
    def shared(self) -> tuple[Mechanism, ...]:
        """The mechanisms that more than one layer uses."""
        return tuple(x for x in self.mechanisms if len(set(x.of) & set(self.layers)) > 1)

    def within(self, m: int) -> Factorial:
        """The factorial of the layers that are on in the cell at place ``m`` alone, the others off."""
        bits = [i for i in range(len(self.layers)) if m >> i & 1]
        places = [sum(1 << b for j, b in enumerate(bits) if n >> j & 1) for n in range(1 << len(bits))]
        time = None if self.time is None else self.time.within(m)
        return replace(self, layers=tuple(self.layers[b] for b in bits), amounts=self.amounts[places], time=time)

    def mapped(self, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Factorial:
        """The same cells and layers, with other amounts."""
        time = None if self.time is None else self.time.mapped(change)
        alone = tuple(m._replace(amounts=change(m.amounts[None])[0]) for m in self.mechanisms)
        return replace(self, amounts=change(self.amounts), time=time, mechanisms=alone)

    def weighted(self, weights: NDArray[np.float64]) -> Factorial:
        """Sums of the samples with ``weights``, (S, N): N samples instead of S."""
        return self.mapped(lambda amounts: amounts @ weights)

    def stacked(self, places: Sequence[int]) -> Factorial:
        """The small factorials of several cells side by side: samples (len(places) x S), the cell's number varies slowest.

        In the part of place m every layer that is off in m changes nothing: its cell n has the amounts of n & m. So a
        formula of the stacked factorial is, part by part, the formula of ``within(m)``. It has no mechanisms: how many layers
        use one is another number in each part.
        """
        every = np.arange(len(self.amounts))
        return replace(self, mechanisms=()).mapped(lambda amounts: np.concatenate([amounts[every & m] for m in places], axis=-1))

    @property
    def one_start(self) -> bool:
        """Whether all blocks are of one process start, so that no interval holds what a new start changes.

        Every run of a serving engine is a start of its own.
        """
        return self.bench.facts.blocks_share_a_start and self.starts is not None and len(set(self.starts)) == 1

    @property
    def process_starts(self) -> int:
        """How many process starts are behind it; where blocks share none, every run is a start of its own."""
        if not self.bench.facts.blocks_share_a_start:
            return int(self.amounts.shape[-1])
        return 1 if self.starts is None else len(set(self.starts))

    @property
    def drawn(self) -> bool:
        """Whether samples are draws of a model (and not blocks of measurements)."""
        return self.bench.facts.simulated

    @property
    def draws(self) -> int | None:
        """How many draws of a model the samples are; None where they are blocks of measurements."""
        return int(self.amounts.shape[-1]) if self.drawn else None


def nests(starts: Sequence[int], blocks: Sequence[int] | None) -> dict[str, NDArray[np.intp]]:
    """What blocks lie in, (S,) numbers from 0 each, the widest first: process starts, then ``LEAST_PAIRS`` pairs or more."""
    start = np.array(starts)
    found = {"process starts": np.unique(start, return_inverse=True)[1]}
    if blocks is not None:
        pair = np.unique(start * (max(blocks) // 2 + 1) + np.array(blocks) // 2, return_inverse=True)[1]
        found |= {"pairs of blocks": pair} if pair.max() + 1 >= LEAST_PAIRS else {}
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A resource of which no total can be formed, and why."""

    bench: Bench
    operating_point: OperatingPoint
    resource: Resource
    evidence: Evidence
    canonical: bool
    reason: str
    scene: str = DEFAULT_SCENE


def place(cell: frozenset[str], layers: tuple[str, ...]) -> int:
    """The place of a cell: bit i set where layer i is on.

    >>> place(frozenset({"idle"}), ("storage", "idle"))
    2
    """
    return sum(1 << i for i, layer in enumerate(layers) if layer in cell)


def factorials(
    joint: pd.DataFrame, order: tuple[str, ...], cells: str = "all", mechanisms: Mapping[str, Sequence[str]] | None = None
) -> tuple[list[Factorial], list[Missing]]:
    """Every resource of a joint table (contract JOINT), layers in ``order``, of which ``cells`` were to be run.

    A resource with a missing amount is absent with that amount's reason, and one of which the base spends nothing with
    ``NO_BASE``: a saving is a share of something. A block that the end of the budget cut short is left out whole: what it
    has is no paired sample. A table of the base alone (nothing of the stack has a meaning on that bench) has no factorial.
    ``mechanisms`` names the layers that use each mechanism; one that was run alone in every block counts.

    Raises:
        EvidenceError: No block, or not every draw, has every planned cell, so there is no factorial.
        ParamsError: As ``statistics.planned``.
    """
    found: list[Factorial] = []
    absent: list[Missing] = []
    scenes = joint["scene"] if "scene" in joint else pd.Series(DEFAULT_SCENE, index=joint.index)
    by = [scenes, joint["bench"], joint["operating_point"], joint["resource"]]
    for (scene, bench, operating_point, resource), rows in joint.groupby(by, sort=False):
        layers = _layers(rows, order)
        if not layers:
            continue
        evidence = weakest(Evidence(e) for e in rows["evidence"].unique())
        head: dict[str, Any] = {
            "scene": str(scene),
            "bench": Bench(str(bench)),
            "operating_point": OperatingPoint(str(operating_point)),
            "resource": Resource(str(resource)),
        }
        canonical = bool(rows["canonical"].all())
        if rows["amount"].isna().any():
            reason = str(rows.loc[rows["amount"].isna(), "reason"].iloc[0])
            absent.append(Missing(**head, evidence=evidence, canonical=canonical, reason=reason))
            continue
        alone = {name: tuple(of) for name, of in (mechanisms or {}).items() if f"{MECHANISM}{name}" in set(rows["cell"])}
        components, every, (starts, blocks) = _amounts(rows, layers, statistics.planned(layers, cells), tuple(alone))
        amounts, apart = every[: 1 << len(layers)], every[1 << len(layers) :].sum(axis=1)
        if not (amounts[0].sum(axis=0) > 0).all():
            absent.append(Missing(**head, evidence=evidence, canonical=canonical, reason=NO_BASE))
            continue
        shape: dict[str, Any] = {
            "layers": layers,
            "components": components,
            "amounts": amounts,
            "starts": starts,
            "blocks": blocks,
            "mechanisms": tuple(
                Mechanism(n, of, a) for (n, of), a in zip(alone.items(), apart, strict=True) if np.isfinite(a).all()
            ),
        }
        found.append(Factorial(**head, **shape, evidence=evidence, canonical=canonical))
    return [replace(f, time=_time_of(f, found)) for f in found], absent


def _time_of(f: Factorial, among: Sequence[Factorial]) -> Factorial | None:
    """The accelerator time of the same bench, basis, layers and samples; None where ``f`` derives nothing, or is it itself."""
    if f.derived is None or f.resource is Resource.TIME_S:
        return None
    same = (
        t
        for t in among
        if (t.scene, t.bench, t.operating_point, t.layers) == (f.scene, f.bench, f.operating_point, f.layers)
        and t.resource is Resource.TIME_S
    )
    return next((t for t in same if t.amounts.shape[-1] == f.amounts.shape[-1] and t.derived is not None), None)


def _layers(rows: pd.DataFrame, order: tuple[str, ...]) -> tuple[str, ...]:
    on = frozenset().union(*(cell_of(c) for c in rows["cell"].unique() if not c.startswith(MECHANISM)))
    unknown = on - set(order)
    if unknown:
        raise EvidenceError(
            f"the joint table has layers that params do not: {', '.join(sorted(unknown))}; run the joint stage again"
        )
    return tuple(layer for layer in order if layer in on)


def _amounts(
    rows: pd.DataFrame, layers: tuple[str, ...], wanted: tuple[int, ...], mechanisms: tuple[str, ...]
) -> tuple[tuple[Component, ...], NDArray[np.float64], tuple[tuple[int, ...] | None, tuple[int, ...] | None]]:
    """Components, their amounts (2^k + M, C, S), the samples' starts and blocks; a component that a cell does not have is 0."""
    measured = not Bench(rows["bench"].iloc[0]).facts.simulated
    many = int(rows["replicate"].max()) + 1
    keys = rows["block"].astype("int64") * many + rows["replicate"].astype("int64")
    samples, sample = np.unique(keys.to_numpy(), return_inverse=True)
    components = tuple(c for c in Component if c in set(rows["component"]))
    where = {cell_name(layer for i, layer in enumerate(layers) if m >> i & 1): m for m in range(1 << len(layers))}
    where |= {f"{MECHANISM}{name}": len(where) + i for i, name in enumerate(mechanisms)}
    shape = (len(where), len(components), samples.size)
    kept = rows["cell"].isin(where)  # a mechanism that nobody declared is none of them
    rows, sample = rows[kept], sample[kept.to_numpy()]
    cell = rows["cell"].map(where).to_numpy(dtype=np.int64)
    component = rows["component"].map({c: i for i, c in enumerate(components)}).to_numpy(dtype=np.int64)
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, (cell, component, sample), rows["amount"].to_numpy(dtype=np.float64))
    np.add.at(count, (cell, component, sample), 1)
    run = count.max(axis=1) > 0
    there = run[list(wanted)]
    whole = there.all(axis=0)
    if not (measured and whole.any()):
        _complete(there, [list(where)[m] for m in wanted])
    amounts = total / np.maximum(count, 1)
    amounts[~run[:, whole].all(axis=1)] = np.nan
    if not measured:
        return components, amounts[..., whole], (None, None)
    block, start = np.divmod(samples[whole], many)
    return components, amounts[..., whole], (tuple(start.tolist()), tuple(block.tolist()))


def _complete(run: NDArray[np.bool_], names: list[str]) -> None:
    """Every cell (2^k, S) was run in every sample.

    Raises:
        EvidenceError: Some was not.
    """
    short = np.flatnonzero(~run.all(axis=1))
    if short.size:
        first = int(short[0])
        raise EvidenceError(
            f"no full factorial: {short.size} of {len(names)} cells lack runs, first '{names[first]}' "
            f"({int(run[first].sum())} of {run.shape[1]}); run the joint stage again, it goes on where it stopped"
        )
