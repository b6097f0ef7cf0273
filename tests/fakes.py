"""Fakes of clocks, meters, servers and engines; nothing in the domain is ever patched."""

from __future__ import annotations

import contextlib
import math
import random
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from deltastack.experiment.ledger import Entry
from deltastack.experiment.meter import Quantity, Reading
from deltastack.experiment.plan import Slot, plain
from deltastack.fleet.operators.tables import OperatorTables
from deltastack.fleet.simulator import Requests, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FIVE = ("storage", "chiplet", "pipeline", "instruction_set", "idle")
"""The layers of the default run, whatever params/stack.yaml names by now."""


class FakeRunner:
    """A cell runner whose amounts are lognormal noise around planted factors; no work is done."""

    def __init__(self, start: int, factors: dict[str, float], sd_log: float) -> None:
        """Take the planted factor of each cell (1.0 where it has none) and the spread."""
        self._factors, self._sd = factors, sd_log
        self._random = random.Random(f"fake/{start}")  # noqa: S311 - planted noise, not a secret

    def __call__(self, slot: Slot) -> Entry:
        """One run of ``slot``."""
        log = math.log(self._factors.get(plain(slot.cell), 1.0))
        amount = math.exp(log + self._random.gauss(0, self._sd))
        return Entry(
            slot=slot,
            readings={Quantity.CPU_S: Reading(amount, "fake"), Quantity.ENERGY_J: Reading(None, "fake", "no counter")},
            components={"attention": {"time_s": amount}},
            quality={"requests": 4.0},
        )


@contextlib.contextmanager
def fake_runner(start: int, factors: dict[str, float], sd_log: float, fail_at: str | None = None) -> Iterator[FakeRunner]:
    """Open a fake runner; with ``fail_at`` the run whose key starts with it raises."""
    runner = FakeRunner(start, factors, sd_log)

    def call(slot: Slot) -> Entry:
        if fail_at is not None and slot.key.startswith(fail_at):
            raise RuntimeError(f"planted failure at {slot.key}")
        return runner(slot)

    yield call  # type: ignore[misc]


def fake_tables(*, multimodal: bool = True, seed: int | None = None) -> OperatorTables:
    """Operator times of an 8-billion-parameter model by a bare roofline (1e15 flop/s, 3e12 byte/s).

    With a ``seed`` every time is multiplied by its own factor in 0.8 .. 1.25, so that no two grid cells have one slope.
    """
    noise = np.random.default_rng(seed)

    def times(flop: NDArray[np.float64], moved_bytes: NDArray[np.float64]) -> NDArray[np.float64]:
        bare_s = np.maximum(flop / 1e15, moved_bytes / 3e12) + 1e-6
        return bare_s * np.exp(noise.uniform(-0.22, 0.22, bare_s.shape)) if seed is not None else bare_s

    n = np.unique(np.concatenate([np.arange(1, 65), np.geomspace(64, 16384, 60).astype(np.int64)]))
    few = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024])
    chunk, prefix = np.unique(np.geomspace(1, 16384, 30).astype(np.int64)), np.array([0, 128, 1024, 4096, 16384, 65536])
    kv = np.unique(np.geomspace(1, 65536, 40).astype(np.int64))
    size, images = np.array([64, 196, 256, 1024, 4096]) if multimodal else np.array([], np.int64), np.array([1, 2, 4, 8])
    share = np.array([[0.2], [0.7], [0.02]]) * 8e9
    read = 2.0 * n[None, :] * 1e4 + share * 2
    linear_s = times(share * n * 2, read)
    return OperatorTables(
        model="fake/8b",
        platform="fake_platform",
        precision="bf16",
        tensor_parallel=1,
        weight_bytes=16e9,
        encoder_weight_bytes=1.2e9,
        kv_bytes_per_token=147456.0,
        layers=36,
        hidden_size=4096,
        context_limit_tokens=262144,
        token_n=n,
        linear_s=linear_s,
        linear_gemm_s=linear_s * np.array([[0.8], [0.9], [0.1]]),
        logits_n=few,
        logits_s=times(few * 1.2e9, few * 3e5 + 1.2e9),
        prefill_chunk=chunk,
        prefill_prefix=prefix,
        prefill_attention_s=times(6e5 * chunk[:, None] * (prefix + chunk[:, None] / 2), 147456.0 * (prefix + chunk[:, None])),
        decode_batch=few,
        decode_kv=kv,
        decode_attention_s=times(6e5 * few[:, None] * kv, 147456.0 * few[:, None] * kv),
        encoder_tokens=size,
        encoder_images=images,
        encoder_s=times(5e9 * size[:, None] * images * (1 + size[:, None] / 2000), 1.2e9 + 0.0 * size[:, None] * images),
        sources={},
        provenance={"tool": "tests/fakes.py"},
    )


def fake_trace(count: int, rate: float, seed: int = 0) -> Requests:
    """A multimodal mix: half with images (66 % one, the rest 2 to 9, of 196 to 1400 tokens), outputs of median 140."""
    random = np.random.default_rng(seed)
    some = random.random(count) < 0.5
    images = np.where(some, random.choice([1, 2, 3, 4, 6, 9], count, p=[0.66, 0.07, 0.04, 0.05, 0.03, 0.15]), 0)
    image_tokens = images * np.exp(random.uniform(np.log(196), np.log(1400), count)).astype(np.int64)
    text = np.exp(random.normal(np.log(800), 0.9, count)).astype(np.int64).clip(10, 16_000)
    none = np.zeros(count, np.int64)
    return Requests(
        arrival_s=np.cumsum(random.exponential(1 / rate, count)),
        images=images,
        image_tokens=image_tokens,
        prompt_tokens=np.where(some, text // 4 + image_tokens, text),
        output_tokens=np.exp(random.normal(np.log(140), 0.8, count)).astype(np.int64).clip(1, 4_000),
        cached_tokens=none,
        cached_images=none,
        delay_s=np.zeros(count),
    )


def fake_result(**given: object) -> Result:
    """A result in which nothing happened, but for what is given."""
    kinds = {f.name: str(f.type) for f in fields(Result)}
    empty = {
        name: np.zeros(0) if "NDArray" in kind else () if "tuple" in kind else 0 if kind == "int" else 0.0
        for name, kind in kinds.items()
    }
    return Result(**(empty | given))
