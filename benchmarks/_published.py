"""What others published of techniques in scenes like ours, and what the simulator says of the same: misses are printed."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deltastack.fleet import accelerator, closed_loop, evaluate, settings
from deltastack.fleet.accounting import power_states
from deltastack.fleet.deployment import Schedule
from deltastack.fleet.effects.schedule import Loop
from deltastack.fleet.operators import load_tables
from deltastack.fleet.physics.disaggregation import Stations, rate_per_s, simulated_rate_per_s
from deltastack.layers import layer
from tasks import fleet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deltastack.fleet.deployment import Deployment
    from deltastack.fleet.evaluate import Run
    from deltastack.fleet.operators import OperatorTables
    from deltastack.fleet.settings import Settings
    from deltastack.fleet.simulator import Requests

ROOT = Path(__file__).parents[1]
EXPERTS, SMALL_EXPERTS = "Qwen/Qwen3-VL-235B-A22B-Instruct", "Qwen/Qwen3-VL-30B-A3B-Instruct"
IMAGES, IMAGE_TOKENS, TEXT_TOKENS = 4, 600, 80
"""Of a MUIRBENCH question: about four images. Tokens of one: assumed."""
CONTEXT_TOKENS, TPOT_S = 1000.0, 0.15
SPLITS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
EFFICIENCY = (1.0, 0.97, 0.93, 0.93)
"""Of one to four micro-batches. Source: the noise of params/layers/pipeline.yaml, rounded."""


IMAGES_SCENE = "vision_night"
MODSERVE, HETEROSERVE, POND, POND_APART, THEORY = (0.25, 0.413), (0.406, 0.314), 0.07, 0.03, 0.1
VLLM, VLLM_APART, MEGASCALE = 32.75 / 21.76, 0.25, 1.9
FP8 = ((8, "+46 to +85 %", 0.46, 0.85), (64, "less than 0 on images", -1.0, 0.0), (512, "", None, 0.0))
"""By sequences in flight: what ML.ENERGY v3 says fp8 takes more than bf16, in words and from where to where."""
SEQUENCES, NOISE = (16, 64, 128, 256, 512, 1024), 0.2
"""Of an attention accelerator, and the variation of params/layers/pipeline.yaml."""


class Held(NamedTuple):
    """One published figure and ours."""

    what: str
    published: str
    ours: str
    value: float
    """Ours, as a number."""
    low: float | None = None
    """What would agree begins here; None: nobody published a figure."""
    high: float = inf
    """And it ends here."""
    neutral: float = 0.0
    """The value that neither gains nor loses."""

    @property
    def verdict(self) -> str:
        """``met`` inside what was published; else whether at least the sign is."""
        if self.low is None:
            return "-"
        if self.low <= self.value <= self.high:
            return "met"
        gains = self.low >= self.neutral, self.high <= self.neutral
        right = (gains[0] and self.value > self.neutral) or (gains[1] and self.value < self.neutral)
        return "sign met; size missed" if right else "missed"


def held(scenes: Sequence[Mapping[str, Any]] = ()) -> list[Held]:
    """All of them; those of whole clusters against ``scenes``, rows of SCENES that were computed."""
    return [*_encoders(), *_clusters(scenes), _apart(), _theory(), _pool(), *_batching()]


def _clusters(scenes: Sequence[Mapping[str, Any]]) -> list[Held]:
    """ModServe and HeteroServe: cost saved by encoders of their own, against the scene that is for them, at capacity."""
    place = {"kind": "technique", "subject": "pipeline/encoder_pool", "resource": "cost_usd", "operating_point": "at_capacity"}
    place["scene"] = IMAGES_SCENE
    found = [r for r in scenes if all(r[k] == v for k, v in place.items()) and r["delta"] is not None]
    if not found:
        return []
    delta, ends = float(found[0]["delta"]), f"{found[0]['lo']:+.1%} to {found[0]['hi']:+.1%}"
    ours = f"{delta:+.1%} ({ends}; {IMAGES_SCENE}, 2 of 16 encode)"
    return [
        Held(
            "encoder_pool: cost saved by images and text that scale apart",
            "25 to 41.3 % (ModServe, SoCC 2025; a cluster that scales by demand)",
            ours,
            delta,
            *MODSERVE,
        ),
        Held(
            "encoder_pool: cost saved by encoders on cheaper accelerators of their own",
            "40.6 % observed, 31.4 % by its own model (HeteroServe, arXiv 2603.12707)",
            f"{ours}; no second kind of accelerator",
            delta,
            HETEROSERVE[1],
            2 * HETEROSERVE[0] - HETEROSERVE[1],
        ),
    ]


def _theory() -> Held:
    """A closed form of attention and feed-forward apart, within 10 % of a simulation with noise in arXiv 2601.21351."""
    tables, worst = load_tables(EXPERTS, "h200_sxm", "bf16"), (0.0, 0, 0.0)
    for ratio, parts, sequences in product(SPLITS, range(1, 5), SEQUENCES):
        schedule = Schedule(kind="disaggregated", ffn_accelerators_per_replica=ratio, hop_s=20e-6, link_bytes_per_s=3.6e11)
        times = Loop(tables=tables, schedule=schedule).stations_s(
            np.array(sequences), np.array(_core_s(tables, sequences)), parts
        )
        stations = Stations(**dict(zip(("attention_s", "ffn_s", "hop_s"), map(float, times), strict=True)))
        noisy = simulated_rate_per_s(stations, parts, variation=NOISE)
        worst = max(worst, (abs(rate_per_s(stations, parts) / noisy - 1), parts, ratio))
    return Held(
        f"attention_ffn: closed form of the loop against events with {NOISE:.0%} noise, one to four micro-batches",
        "within 10 % (arXiv 2601.21351, against a simulation calibrated with traces)",
        f"{worst[0]:.1%} at worst ({worst[1]} micro-batches, {worst[2]:g} feed-forward accelerators to one)",
        worst[0],
        0.0,
        THEORY,
    )


def _pool() -> Held:
    """Pond: cost of host memory that a pool saves, with a tier of keys and values that fills it."""
    at = fleet.fleet_runner(ROOT, "assistant")
    on = [t for t in at.chosen(layer("storage")) if t.name in {"kv_tier", "memory_pool"}]
    known = settings.load(ROOT, scene=at.scene)
    deployment = at.deployment(0, on)
    where = accelerator.load(ROOT, deployment.platform)
    found = evaluate.observe(evaluate.prepare(deployment, at.requests, where, known.values), at.requests, known).account
    saved = 1 - found.memory_pool.cost_factor if found.memory_pool else 0.0
    return Held(
        "memory_pool: cost of host memory saved",
        "7 % (Pond, ASPLOS 2023: virtual machines of many tenants)",
        f"{saved:+.1%} (assistant: replicas behind one router rise and fall together)",
        saved,
        POND - POND_APART,
        POND + POND_APART,
    )


def _encoders() -> list[Held]:
    """vllm#41567: requests/s of one accelerator, of two in tensor parallel, of one encoder and one language model."""
    known = settings.load(ROOT).serving({"model": SMALL_EXPERTS, "platform": "gb200"})
    base = replace(known.values.deployment.deployment(), host_visual_token_s=0.0)
    pool = replace(base.encoder, placement="pool", pool_size=1)
    one, two, apart = (
        _rate(known, replace(base, replicas=n, encoder=e)) for n, e in ((1, base.encoder), (2, base.encoder), (1, pool))
    )
    return [
        Held(
            "encoder_pool: one encoder and one language model over one accelerator, 4 images and 2 output tokens",
            "32.75 / 21.76 = 1.51 (vllm#41567, Qwen3.5-35B-A3B on GB200)",
            f"{apart:.1f} / {one:.1f} = {apart / one:.2f} (Qwen3-VL-30B-A3B, no host work)",
            apart / one,
            VLLM - VLLM_APART,
            VLLM + VLLM_APART,
            1.0,
        ),
        Held(
            "encoder_pool: the same over two accelerators that each do both",
            "not run; twice 21.76 would be 43.5, so 0.75",
            f"{apart:.1f} / {two:.1f} = {apart / two:.2f}",
            apart / two,
            VLLM / 2 - VLLM_APART,
            VLLM / 2 + VLLM_APART,
            1.0,
        ),
    ]


def _rate(known: Settings, deployment: Deployment) -> float:
    """Requests a second of a saturated closed loop."""
    count = 2000
    none = np.zeros(count, np.int64)
    requests = replace(
        closed_loop.requests(none + 2, prompt_tokens=TEXT_TOKENS),
        images=none + IMAGES,
        image_tokens=none + IMAGES * IMAGE_TOKENS,
        prompt_tokens=none + IMAGES * IMAGE_TOKENS + TEXT_TOKENS,
    )
    if deployment.encoder.placement == "pool":
        requests = replace(requests, arrival_s=np.zeros(count))
        return _run(known, deployment, requests, clients=0).rate_per_s
    return _run(known, deployment, requests, clients=256).rate_per_s


def _run(known: Settings, deployment: Deployment, requests: Requests, *, clients: int) -> Run:
    where = accelerator.load(ROOT, deployment.platform)
    ready = evaluate.prepare(deployment, requests, where, known.values)
    return evaluate.observe(replace(ready, config=replace(ready.config, clients=clients)), requests, known)


def _apart() -> Held:
    """MegaScale-Infer: output tokens a second and accelerator of decoding alone, apart over together."""
    tables, where = load_tables(EXPERTS, "h200_sxm", "bf16"), accelerator.load(ROOT, "h200_sxm")
    room = 0.9 * where.memory_bytes - tables.weight_bytes
    most = int(room / tables.kv_bytes_per_token / CONTEXT_TOKENS)
    together = max(b / _step_s(tables, b) for b in range(1, most) if _step_s(tables, b) <= TPOT_S)
    apart = 0.0
    for q in SPLITS:
        schedule = Schedule(
            kind="disaggregated", ffn_accelerators_per_replica=q, hop_s=20e-6, link_bytes_per_s=3.6e11, efficiency=EFFICIENCY
        )
        loop = Loop(tables=tables, schedule=schedule)
        for b in range(4, 2 * most, 4):
            step_s = float(loop.step_s(b, _core_s(tables, b))) + float(np.interp(b, tables.logits_n, tables.logits_s))
            apart = max(apart, b / step_s / (1 + q) if step_s <= TPOT_S else 0.0)
    return Held(
        "attention_ffn: decoding alone at 150 ms a token, apart over together, an accelerator",
        "up to 1.90 (MegaScale-Infer, arXiv 2504.02263; its base does not share experts between accelerators)",
        f"{apart:,.0f} / {together:,.0f} = {apart / together:.2f} (base: experts shared by 8)",
        apart / together,
        1.0,
        MEGASCALE,
        1.0,
    )


def _step_s(tables: OperatorTables, batch: int) -> float:
    linear_s = sum(float(np.interp(batch, tables.token_n, row)) for row in tables.linear_s)
    return linear_s + _core_s(tables, batch) + float(np.interp(batch, tables.logits_n, tables.logits_s))


def _core_s(tables: OperatorTables, batch: int) -> float:
    along = [np.interp(CONTEXT_TOKENS, tables.decode_kv, row) for row in tables.decode_attention_s]
    return float(np.interp(batch, tables.decode_batch, along))


def _batching() -> list[Held]:
    """ML.ENERGY: joules of fp8 over bf16 by sequences in flight over eight accelerators."""
    found = []
    for sequences, published, low, high in FP8:
        more = _joules("fp8", sequences // 8) / _joules("bf16", sequences // 8) - 1
        words = (
            f"low_precision: joules a token of fp8 over bf16, {sequences} sequences on 8 accelerators, {EXPERTS.split('/')[1]}"
        )
        found.append(Held(words, f"{published} (ML.ENERGY v3)" if published else "-", f"{more:+.1%}", more, low, high))
    return found


def _joules(precision: str, clients: int) -> float:
    """Joules an output token of the accelerators alone."""
    known = settings.load(ROOT).serving({"model": EXPERTS, "platform": "h200_sxm", "precision": precision, "replicas": 1})
    outputs = closed_loop.lengths(500.0, {}, closed_loop.count(clients))
    requests = closed_loop.requests(outputs, prompt_tokens=150, image_tokens=900)
    run = _run(known, known.values.deployment.deployment(), requests, clients=clients)
    watts = sum(line.accelerator_w * line.time_s for line in power_states.lines(run.account)) / run.result.span_s
    return watts / closed_loop.steady_tokens_per_s(run.result, requests, clients)
