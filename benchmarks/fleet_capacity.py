"""How far the goodput's seeds move what the whole stack saves, against the search on a 99th percentile that it replaced.

Bounds, on fleets of 2 and of 16 accelerators: between eight seeds of the load the saving of accelerator time by the whole stack
has a standard deviation of at most 0.7 points and the product's gap to it of at most 0.6, at no more than 4 times the processor
time of the search on the 99th percentile. All cells of a seed see the same load. Every sample is written to benchmarks/results.
"""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks import _p99_search
from deltastack.fleet import accelerator, evaluate, settings, trace_arrays
from deltastack.layers import layer
from deltastack.layers.techniques import apply_techniques, chosen
from deltastack.workload import settings as workload_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltastack.fleet.evaluate import Prepared
    from deltastack.fleet.settings import Settings
    from deltastack.fleet.simulator import Requests

ROOT = Path(__file__).parents[1]
FIVE = ("storage", "chiplet", "pipeline", "instruction_set", "idle")
FLEETS, SEEDS = (2, 16), 8
BOUND_SAVING, BOUND_GAP, BOUND_TIME = 0.7, 0.6, 4.0
GOODPUT, P99 = "goodput", "99th percentile"


class Sample(NamedTuple):
    """One seed: goodput of each cell (the base first, the whole stack last) and the processor time of all of them."""

    rates_per_s: tuple[float, ...]
    seconds: float

    @property
    def saving(self) -> float:
        """Of accelerator time, by the whole stack."""
        return 1 - self.rates_per_s[0] / self.rates_per_s[-1]

    @property
    def gap(self) -> float:
        """What the product of the single savings says more than that."""
        left = [self.rates_per_s[0] / rate for rate in self.rates_per_s[1:-1]]
        return 1 - float(np.prod(left)) - self.saving


def main() -> None:
    """Run, print, write."""
    chosen_workload = workload_settings.load(ROOT)
    trace = trace_arrays.requests(workload_settings.workload(ROOT, chosen_workload).frame)
    found = {}
    for replicas in FLEETS:
        known = settings.load(ROOT).serving({"replicas": replicas})
        cells = _cells(known, trace)
        _with_goodput(cells, known, 0)  # compiles, or loads what an earlier process compiled
        samples: dict[str, list[Sample]] = {GOODPUT: [], P99: []}
        for seed in range(1, SEEDS + 1):
            samples[GOODPUT].append(_with_goodput(cells, known, seed))
            samples[P99].append(_with_p99(cells, seed))
        print(f"{replicas} accelerators, {SEEDS} seeds, {len(cells)} cells each:")
        for name, seen in samples.items():
            _say(name, seen)
        ratio = float(np.median([g.seconds / p.seconds for g, p in zip(*samples.values(), strict=True)]))
        print(
            f"  processor time: {ratio:.2f} times that on the 99th percentile (bound {BOUND_TIME:g}: {_met(ratio, BOUND_TIME)})"
        )
        found[replicas] = {name: [s._asdict() for s in seen] for name, seen in samples.items()}
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "fleet_capacity.json").write_text(json.dumps(found, indent=2) + "\n")


def _cells(known: Settings, trace: Requests) -> list[Prepared]:
    """The base, each layer that changes the deployment alone, the whole stack."""
    base = known.values.deployment.deployment()
    on = [[t for t in chosen(ROOT, layer(name)) if t.on and t.on_fleet] for name in FIVE]
    sets = [[], *(one for one in on if one), [t for one in on for t in one]]
    where = accelerator.load(ROOT, base.platform)
    return [evaluate.prepare(apply_techniques(base, one), trace, where, known.values) for one in sets]


def _with_goodput(cells: Sequence[Prepared], known: Settings, seed: int) -> Sample:
    start = time.process_time()
    values = known.values
    seeded = values.model_copy(update={"capacity": values.capacity.model_copy(update={"seed": seed})})
    load = evaluate.offered(cells[0], known._replace(values=seeded)).load
    rates = tuple(evaluate.goodput(cell, load) for cell in cells)
    return Sample(rates, time.process_time() - start)


def _with_p99(cells: Sequence[Prepared], seed: int) -> Sample:
    start = time.process_time()
    rates = tuple(_p99_search.largest(cell.requests, partial(evaluate.served, cell), seed=seed) for cell in cells)
    return Sample(rates, time.process_time() - start)


def _say(name: str, seen: Sequence[Sample]) -> None:
    saving, gap = (100 * np.array(values) for values in zip(*((s.saving, s.gap) for s in seen), strict=True))
    rate = np.log([s.rates_per_s[0] for s in seen]).std(ddof=1)
    spread = saving.std(ddof=1), gap.std(ddof=1)
    words = [f"{s:.2f}" for s in spread]
    if name == GOODPUT:
        words = [f"{s:.2f} (bound {b:g}: {_met(s, b)})" for s, b in zip(spread, (BOUND_SAVING, BOUND_GAP), strict=True)]
    seconds = np.median([s.seconds for s in seen])
    print(f"  {name}: the stack saves {saving.mean():.2f} %, sd {words[0]}; gap {gap.mean():+.2f} points, sd {words[1]}")
    print(f"    sd of ln of the base's rate {rate:.3f}; {seconds:.2f} s of processor time a seed")


def _met(found: float, bound: float) -> str:
    return "met" if found <= bound else "MISSED"


if __name__ == "__main__":
    main()
