"""The accounts of two cells again, from the files of parameters and the simulator's seconds, in plain arithmetic."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from deltastack import layers
from deltastack.fleet import accelerator, evaluate, settings
from deltastack.layers.techniques import apply_techniques, chosen
from deltastack.model import Resource
from tests.fakes import fake_trace

if TYPE_CHECKING:
    from deltastack.fleet.evaluate import Run

ROOT = Path(__file__).parents[2]
FILE: dict[str, Any] = yaml.safe_load((ROOT / "params/fleet.yaml").read_text())
BOARD: dict[str, Any] = yaml.safe_load((ROOT / "params/platforms/h100_sxm.yaml").read_text())
ON = ("storage", "chiplet", "instruction_set", "idle")
LAYER_WEIGHTS = 36 * (4096 * (4096 + 2 * 1024) + 4096 * 4096 + 3 * 4096 * 12288)
"""Qwen3-VL-8B: 36 layers of queries, keys, values, output, and three matrices of the feed-forward part."""
END_WEIGHTS = 151936 * 4096
"""Embedding, and as many in the output matrix."""
KV_BYTES = 36 * 2 * 8 * 128 * 2
REQUESTS = replace(fake_trace(400, 3.0), arrival_s=fake_trace(400, 3.0).arrival_s + 2000.0 * (np.arange(400) >= 200))
"""Two bursts with half an hour between them, so that a replica sleeps."""


def number(group: str, name: str) -> float:
    """A central value of params/fleet.yaml."""
    value = FILE[group][name]
    return float(value["value"] if isinstance(value, dict) else value)


def central(layer: str, technique: str, name: str) -> float:
    """A central value of a layer's file."""
    found: dict[str, Any] = yaml.safe_load((ROOT / f"params/layers/{layer}.yaml").read_text())
    return float(found["techniques"][technique]["params"][name]["value"])


def ran(names: tuple[str, ...]) -> Run:
    """The cell with these layers on, at the trace's own arrivals."""
    known = settings.load(ROOT)
    on = [t for name in names for t in chosen(ROOT, layers.layer(name)) if t.on and t.on_fleet]
    deployment = apply_techniques(known.values.deployment.deployment(), on)
    ready = evaluate.prepare(deployment, REQUESTS, accelerator.load(ROOT, "h100_sxm"), known.values)
    return evaluate.observe(ready, REQUESTS, known)


def busy_w(run: Run, precision: str) -> float:
    """Power of a busy accelerator: base, decode attention and achieved compute, as shares of 700 W."""
    r = run.result
    busy_s = r.attention_s + r.ffn_s + r.other_s + r.host_s - r.image_host_s + r.encoder_s
    tokens = sum(n * int(count) for n, count in enumerate(r.steps_by_tokens))
    matrix_s = 2 * (LAYER_WEIGHTS + 2 * END_WEIGHTS) * tokens / float(BOARD["flop_per_s"][precision])
    shares = number("power", "busy_base") + number("power", "busy_decode_attention") * r.decode_attention_s / busy_s
    return float(BOARD["board_w"]) * min(1.0, shares + number("power", "busy_compute") * (matrix_s + 0.43 * r.encoder_s) / busy_s)


def waited_s(run: Run) -> float:
    """Accelerator-seconds in which weights were loaded."""
    return 400 * sum(x.amount or 0.0 for x in run.usage if (x.component, x.resource) == ("storage", Resource.TIME_S))


def joules(run: Run, precision: str, waking_share: float) -> float:
    """Energy of accelerators and nodes: busy, idle (also while the host reads images), waking; released ones draw nothing."""
    r, node_w, shares = run.result, number("power", "node_w"), FILE["power"]["idle"]
    idle_w = sum(float(shares[k]["value"]) for k in ("no_process_share", "context_share")) * float(BOARD["board_w"])
    busy_s = r.attention_s + r.ffn_s + r.other_s + r.host_s - r.image_host_s + r.encoder_s
    idle_s = r.idle_s - r.asleep_s - r.waking_s + waited_s(run) + r.image_host_s
    waking_j = r.waking_s * (waking_share * float(BOARD["board_w"]) + node_w)
    return busy_s * (busy_w(run, precision) + node_w) + idle_s * (idle_w + node_w) + waking_j


def dollars(run: Run, *, made_usd: float, spare_share: float, host_factor: float) -> float:
    """Price of accelerators without host memory and flash, and both of them apart."""
    active_s = 2 * run.result.span_s - run.result.asleep_s
    host = 256e9 * number("prices", "host_memory_usd_per_byte_s")
    flash = number("prices", "drive_usd_per_byte_s")
    bare = number("prices", "accelerator_usd_per_s") - host - number("prices", "flash_bytes_in_price") * flash
    each = bare + made_usd / number("prices", "accelerator_life_s")
    return (active_s + waited_s(run)) * each + active_s * (host * host_factor + 3.84e12 * (1 + spare_share) * flash)


def grams(run: Run, energy_j: float) -> float:
    """Carbon of the energy, and of the maker over the life of the hardware."""
    seconds = 2 * run.result.span_s - run.result.asleep_s + waited_s(run)
    made = number("carbon", "embodied_g_per_accelerator") / number("carbon", "lifetime_s")
    return energy_j * number("carbon", "pue") * number("carbon", "grid_g_per_j") + seconds * made


def test_the_base_again() -> None:
    """Nothing switched: energy, money and carbon of 400 requests, to 1e-9."""
    run = ran(())
    energy_j = joules(run, "bf16", 0.0)

    assert run.usage.total(Resource.ENERGY_J) == pytest.approx(energy_j / 400, rel=1e-9)
    money = dollars(run, made_usd=0.0, spare_share=0.07, host_factor=1.0)
    assert run.usage.total(Resource.COST_USD) == pytest.approx(money / 400, rel=1e-9)
    assert run.usage.total(Resource.CARBON_G) == pytest.approx(grams(run, energy_j) / 400, rel=1e-9)


def test_four_layers_on_again() -> None:
    """Tier, pool, zones, dies, fp8 and sleep at once: the same three, with the bits that cross dies and what was given back."""
    run = ran(ON)
    r, package, pool = run.result, run.account.deployment.packaging, run.account.memory_pool
    energy_j = joules(run, "fp8", central("idle", "replica_sleep", "cold_start_share"))
    read = r.steps * (LAYER_WEIGHTS + 2 * END_WEIGHTS)
    tokens = r.decode_kv_token_steps + r.prefill_prefix_tokens + r.prefill_tokens + r.decode_sequence_steps
    per_bit = central("chiplet", "packaging", "crossing_share") * central("chiplet", "packaging", "link_j_per_bit")
    energy_j += 8 * (read + tokens * KV_BYTES) * per_bit

    assert r.asleep_s > 1000
    assert run.account.tier is not None
    assert pool is not None
    assert run.usage.total(Resource.ENERGY_J) == pytest.approx(energy_j / 400, rel=1e-9)
    spare = 0.07 * central("storage", "zns", "overprovisioning_fraction_remaining")
    money = dollars(run, made_usd=package.maker_usd, spare_share=spare, host_factor=pool.cost_factor)
    assert run.usage.total(Resource.COST_USD) == pytest.approx(money / 400, rel=1e-9)
    assert run.usage.total(Resource.CARBON_G) == pytest.approx(grams(run, energy_j) / 400, rel=1e-9)
