"""Joint tables whose truth is planted: factors of single layers by component, and log interactions of pairs."""

from __future__ import annotations

import math
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from deltastack.contracts import JOINT
from deltastack.model import AA_TWIN, Bench, Component, Evidence, OperatingPoint, Resource, cell_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BASE = {Component.ATTENTION: 40.0, Component.FFN: 50.0, Component.ENCODER: 10.0}


def joint(  # noqa: PLR0913 - one keyword a planted property
    factors: Mapping[str, Mapping[Component, float]],
    interactions: Mapping[tuple[str, str], float] | None = None,
    *,
    bench: Bench = Bench.FLEET,
    samples: int = 8,
    sd_log: float = 0.0,
    seed: int = 0,
    starts: int = 1,
    resource: Resource = Resource.ENERGY_J,
) -> pd.DataFrame:
    """The full factorial of ``factors``; an interaction scales every component when both layers are on.

    Blocks are dealt out to ``starts`` process starts in turn. ``sd_log`` is noise of each run (testbed) or of each draw's own
    scale (fleet; the same in all cells of a draw).
    """
    rng, layers = np.random.default_rng(seed), tuple(factors)
    rows = []
    scale = np.exp(rng.normal(0, sd_log, samples))
    for on in product((False, True), repeat=len(layers)):
        cell = [name for name, is_on in zip(layers, on, strict=True) if is_on]
        beta = sum((interactions or {}).get(pair, 0.0) for pair in combinations(cell, 2))
        for s in range(samples):
            noise = scale[s] if bench is Bench.FLEET else math.exp(rng.normal(0, sd_log))
            for component, base in BASE.items():
                factor = math.prod(factors[name].get(component, 1.0) for name in cell)
                amount = base * factor * math.exp(beta) * noise
                block, replicate = (0, s) if bench is Bench.FLEET else (s // starts, s % starts)
                evidence = Evidence.SIMULATED if bench is Bench.FLEET else Evidence.MEASURED
                operating_point = OperatingPoint.AT_TRACE if bench is Bench.FLEET else OperatingPoint.PER_SESSION
                rows.append(
                    (
                        cell_name(cell),
                        bench,
                        operating_point,
                        block,
                        0,
                        replicate,
                        component,
                        resource,
                        amount,
                        evidence,
                        None,
                        "host",
                        True,
                    )
                )
    return JOINT.frame(rows)


def with_twin(frame: pd.DataFrame, log_ratios: Sequence[float]) -> pd.DataFrame:
    """A measured table with the base's A/A twin, e^r of the base's amount in each block in turn."""
    base = frame[frame["cell"] == "base"]
    factor = base["block"].map(dict(enumerate(math.exp(r) for r in log_ratios)))
    twin = base.assign(cell=AA_TWIN, position=1, amount=base["amount"] * factor)
    return JOINT.check(pd.concat([frame, twin], ignore_index=True))


WHOLE = dict.fromkeys(Component, 0.8)
"""A layer that takes 20 % off everything."""
