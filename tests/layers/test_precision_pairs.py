"""Lower precision held against pairs measured on real machines: our error, shown."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from deltastack.fleet.operators import load_tables
from deltastack.fleet.simulator import Config, Requests, simulate

MODEL, WHERE = "meta-llama/Llama-3.1-70B-Instruct", "b200_sxm"


class Pair(NamedTuple):
    """Time per output token [ms] of Llama-3.1-70B on B200 under vLLM, as published by InferenceX for fp8 and fp4."""

    parallel: int
    prompt: int
    output: int
    clients: int
    fp8_ms: float
    fp4_ms: float

    @property
    def saving(self) -> float:
        """Measured saving of fp4 over fp8."""
        return 1 - self.fp4_ms / self.fp8_ms


# Source: InferenceX results, as aiconfigurator-core 0.12.0 (Apache-2.0) carries them: 24 of the 60 pairs under vLLM.
PAIRS = tuple(
    Pair(*row)
    for row in (
        (1, 1024, 1024, 4, 16.337, 13.071),
        (1, 1024, 1024, 64, 23.102, 17.843),
        (1, 1024, 8192, 4, 16.671, 13.550),
        (1, 1024, 8192, 64, 24.667, 20.899),
        (1, 8192, 1024, 4, 18.341, 14.378),
        (1, 8192, 1024, 64, 70.687, 50.345),
        (2, 1024, 1024, 4, 10.638, 9.668),
        (2, 1024, 1024, 64, 15.887, 13.690),
        (2, 1024, 8192, 4, 10.381, 9.461),
        (2, 1024, 8192, 64, 15.677, 14.563),
        (2, 8192, 1024, 4, 11.752, 10.397),
        (2, 8192, 1024, 64, 42.006, 33.637),
        (4, 1024, 1024, 4, 8.042, 7.235),
        (4, 1024, 1024, 64, 13.592, 13.075),
        (4, 1024, 8192, 4, 8.400, 7.465),
        (4, 1024, 8192, 64, 11.500, 11.341),
        (4, 8192, 1024, 4, 8.714, 8.093),
        (4, 8192, 1024, 64, 27.781, 24.904),
        (8, 1024, 1024, 4, 6.318, 6.309),
        (8, 1024, 1024, 64, 12.544, 13.776),
        (8, 1024, 8192, 4, 6.520, 6.577),
        (8, 1024, 8192, 64, 10.453, 10.028),
        (8, 8192, 1024, 4, 7.182, 7.129),
        (8, 8192, 1024, 64, 22.278, 21.106),
    )
)


def token_s(pair: Pair, precision: str) -> float:
    """Mean time per output token: ``clients`` in a closed loop, lengths uniform in 0.8 to 1 of the row's."""
    count, random = 2 * pair.clients, np.random.default_rng(0)
    none = np.zeros(count, np.int64)
    output = random.integers(int(0.8 * pair.output), pair.output + 1, count)
    requests = Requests(
        arrival_s=np.zeros(count),
        images=none,
        image_tokens=none,
        prompt_tokens=random.integers(int(0.8 * pair.prompt), pair.prompt + 1, count),
        output_tokens=output,
        cached_tokens=none,
        cached_images=none,
        delay_s=np.zeros(count),
    )
    config = Config(kv_capacity_tokens=2_000_000, clients=pair.clients, host_step_s=0.74e-3, host_sequence_s=28e-6)
    found = simulate(load_tables(MODEL, WHERE, precision, pair.parallel), requests, config)
    return float(np.mean((found.finish_s - found.first_token_s) / (output - 1)))


def test_fp4_over_fp8_against_measured_pairs() -> None:
    """InferenceX, Llama-3.1-70B on B200: fp4 saves 8.0 % of time per token at the median of 132 pairs (8.5 % of the 60 of vLLM).

    Our error on 24 of them: the operator times promise 23 % where 9.6 % was measured, 8 points too high at the median (7 on one
    accelerator, 18 on four, 7 on eight, where fp4 was slower in two pairs and we say it is quicker). A ratio of peak rates
    promises 50 %. So the saving of ``low_precision`` is an upper estimate.
    """
    measured = np.array([p.saving for p in PAIRS])
    ours = np.array([1 - token_s(p, "nvfp4") / token_s(p, "fp8") for p in PAIRS])
    error = ours - measured

    assert np.median(measured) == pytest.approx(0.096, abs=0.002)
    assert np.median(ours) == pytest.approx(0.231, abs=0.02)
    assert np.median(error) == pytest.approx(0.078, abs=0.02)
    assert np.mean(np.sign(ours) == np.sign(measured)) > 0.9
