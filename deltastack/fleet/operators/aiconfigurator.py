"""The only reader of ``aiconfigurator_core`` (extra ``operators``): silicon-measured operator times to plain tables.

Offline by construction: only models whose configuration the package itself carries are asked for, and the hub clients are
told to stay offline before anything is imported. The token arithmetic of the encoder is ours: its blocks run on the patches
before merging (four a visual token), its projector on the tokens after it, each image its own attention.

Source of every time: aiconfigurator-core 0.12.0 (Apache-2.0), see NOTICE. Traps that are guarded here, each with a test:
energies of 0.0 (never read), names that would be downloaded, the version word ``current``, ``fp8_block`` that is slower
than ``fp8``, encoder weights that its KV capacity leaves out.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deltastack.errors import EvidenceError, UnknownNameError
from deltastack.fleet.operators import grids
from deltastack.fleet.operators.shapes import shapes
from deltastack.fleet.operators.tables import LINEAR_COMPONENTS, OperatorTables, Source
from deltastack.model import Component

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

PACKAGE = "aiconfigurator-core"
VERSION = "current"
PRECISIONS = {"bf16": "bfloat16", "fp8": "fp8", "nvfp4": "nvfp4"}
SAME_MODEL = {
    "meta-llama/Llama-3.1-8B-Instruct": "meta-llama/Meta-Llama-3.1-8B",
    "meta-llama/Llama-3.1-70B-Instruct": "meta-llama/Meta-Llama-3.1-70B",
    "meta-llama/Llama-3.3-70B-Instruct": "meta-llama/Meta-Llama-3.1-70B",
}
"""Names that share every shape with a bundled one."""
LIKE = {
    "Qwen/Qwen3-14B": (
        "Qwen/Qwen3-8B",
        {
            "hidden_size": 5120,
            "num_hidden_layers": 40,
            "num_attention_heads": 40,
            "num_key_value_heads": 8,
            "intermediate_size": 17408,
        },
    )
}
"""Models that the package does not carry: a bundled one of the same family, with these shapes instead (Qwen3 report)."""
EXPERT_PARALLEL = {"Qwen/Qwen3-VL-235B-A22B-Instruct": 8}
"""Accelerators that share the experts of a mixture, each with attention weights and sequences of its own (attention data
parallel); the dispatch to experts and back is in the feed-forward row. A model that is not here keeps its experts together."""
BLOCK = "fp8_block"
"""What ``fp8`` means for a mixture of experts: its published checkpoints have one scale a block of 128 x 128."""
COMPONENT_OF = {
    "embedding": Component.OTHER,
    "embedding_ar": Component.OTHER,
    "p2p": Component.OTHER,
    "add_norm_1": Component.ATTENTION,
    "qkv_gemm": Component.ATTENTION,
    "proj_gemm": Component.ATTENTION,
    "ar_1": Component.ATTENTION,
    "add_norm_2": Component.FFN,
    "gate_ffn1_gemm": Component.FFN,
    "act_gate": Component.FFN,
    "ffn2_gemm": Component.FFN,
    "ar_2": Component.FFN,
    "router_gemm": Component.FFN,
    "moe_pre_dispatch": Component.FFN,
    "moe": Component.FFN,
    "moe_post_dispatch": Component.FFN,
}
CORE, LOGITS = "attention", "logits_gemm"
NO_ENCODER_DATA = {"a100_sxm"}
PATCHES_PER_TOKEN = 4
KV_BYTES = 2
_CODES = {"silicon": Source.SILICON, "mixed": Source.MIXED}


class Engine(NamedTuple):
    """Whose kernels were measured, and in how many bits keys and values are kept."""

    backend: str = "vllm"
    """``vllm``, ``trtllm`` or ``sglang``."""
    fp8_kv: bool = False


VLLM = Engine()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A compiled engine, its model, and where each operator stands."""

    engine: Any
    model: Any
    names: tuple[str, ...]
    logits: int
    """Where the output matrix stands among the operators of a decode step."""

    def indices(self, component: Component, *, gemm_only: bool = False) -> list[int]:
        """Operators of a component, attention core and logits apart."""
        return [
            i
            for i, n in enumerate(self.names)
            if COMPONENT_OF.get(n) is component and (not gemm_only or n == "moe" or n.endswith("_gemm"))
        ]


def bundled() -> tuple[str, ...]:
    """Models whose configuration the package carries, so that nothing is ever downloaded."""
    import aiconfigurator_core

    files = Path(aiconfigurator_core.__file__).parent.rglob("model_configs/*_config.json")
    names = (f.name.removesuffix("_config.json") for f in files if not f.name.endswith("_hf_quant_config.json"))
    return tuple(sorted(n.replace("--", "/", 1) for n in names))


def open_engine(model: str, platform: str, precision: str, tensor_parallel: int, whose: Engine = VLLM) -> Opened:
    """Compile the package's engine.

    Raises:
        UnknownNameError: A model it does not carry, a precision nobody has, or a vision model where encoders were not measured.
        EvidenceError: No silicon data for that combination.
    """
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    logging.getLogger("aiconfigurator_core").setLevel(logging.ERROR)
    name = _configured(model)
    if precision not in PRECISIONS:
        raise UnknownNameError(f"no precision '{precision}'; there are: {', '.join(PRECISIONS)} (fp8_block is another kernel)")
    if "-VL-" in name and platform in NO_ENCODER_DATA:
        raise UnknownNameError(f"{model} on {platform}: the attention of its visual encoder was never measured there")
    from aiconfigurator_core.sdk import EngineHandle
    from aiconfigurator_core.sdk.config_builders import build_model_config
    from aiconfigurator_core.sdk.models import get_model

    modes: dict[str, Any] = {"gemm_quant_mode": PRECISIONS[precision]} | ({"kvcache_quant_mode": "fp8"} if whose.fp8_kv else {})
    ranks = _ranks(model, tensor_parallel)
    if is_mixture(model):
        scheme = BLOCK if precision == "fp8" else PRECISIONS[precision]
        modes |= {"gemm_quant_mode": scheme, "moe_quant_mode": scheme}
    try:
        engine = EngineHandle.compile(name, platform, whose.backend, **ranks, **modes)
        engine.evaluate_context_ops([2], batch_size=1, s=64, x=64)
    except Exception as error:
        raise EvidenceError(
            f"{PACKAGE} has no data for {model} in {precision} on {platform} x {tensor_parallel}: {error}"
        ) from error
    experts = ranks.get("moe_ep_size", 1)
    built = get_model(name, build_model_config(tensor_parallel, 1, experts, 1, experts, **modes), whose.backend)
    names = tuple(re.sub(r"^context_", "", str(op._name)) for op in built.context_ops)  # noqa: SLF001 - it has no public name
    last = [str(op._name) for op in built.generation_ops]  # noqa: SLF001 - as above
    return Opened(engine=engine, model=built, names=names, logits=last.index(f"generation_{LOGITS}"))


def is_mixture(model: str) -> bool:
    """Whether a model's feed-forward is a mixture of experts, by its name (``-A22B``: 22 billion weights are active).

    >>> is_mixture("Qwen/Qwen3-VL-235B-A22B-Instruct"), is_mixture("Qwen/Qwen3-VL-8B-Instruct")
    (True, False)
    """
    return re.search(r"-A\d+B", model) is not None


def _ranks(model: str, tensor_parallel: int) -> dict[str, int]:
    """How accelerators share the work, as the package calls it."""
    experts = EXPERT_PARALLEL.get(model, 1)
    if experts == 1:
        return {"tp_size": tensor_parallel}
    return {"tp_size": tensor_parallel, "attention_dp_size": experts, "moe_tp_size": 1, "moe_ep_size": experts}


@lru_cache(maxsize=8)
def _configured(model: str) -> str:
    """What the package knows ``model`` by: a bundled name, or a folder with its configuration.

    Raises:
        UnknownNameError: It does not know it, and would have to download it.
    """
    if model in LIKE:
        family, shapes = LIKE[model]
        import aiconfigurator_core

        here = next(Path(aiconfigurator_core.__file__).parent.rglob(f"model_configs/{family.replace('/', '--')}_config.json"))
        folder = Path(tempfile.mkdtemp(prefix="deltastack-")) / model.rpartition("/")[2]
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(json.loads(here.read_text()) | shapes))
        return str(folder)
    name = SAME_MODEL.get(model, model)
    if name not in bundled():
        raise UnknownNameError(f"no model '{model}' in {PACKAGE}; it carries for example: {', '.join(bundled()[:6])}")
    return name


def build(model: str, platform: str, precision: str, tensor_parallel: int = 1, whose: Engine = VLLM) -> OperatorTables:
    """Tabulate every component of ``model`` on ``platform``, for ``whose`` kernels.

    Raises:
        UnknownNameError: As ``open_engine``.
        EvidenceError: As ``open_engine``, or an operator that this adapter does not know.
    """
    opened = open_engine(model, platform, precision, tensor_parallel, whose)
    strange = [n for n in opened.names if n not in COMPONENT_OF and n not in {CORE, LOGITS}]
    if strange:
        raise EvidenceError(f"{model} has operators that no component takes: {', '.join(strange)}")
    arrays, sources = _tabulate(opened)
    m = opened.model
    return OperatorTables(
        model=model,
        platform=platform,
        precision=precision,
        tensor_parallel=tensor_parallel,
        weight_bytes=_weight_bytes(opened),
        encoder_weight_bytes=float(sum(op.get_weights() for op in m.encoder_ops or ())),
        kv_bytes_per_token=_kv_bytes(m, tensor_parallel) / (2 if whose.fp8_kv else 1),
        layers=int(m._num_layers),  # noqa: SLF001 - the package has no public name for these shapes
        hidden_size=int(m._hidden_size),  # noqa: SLF001 - as above
        context_limit_tokens=int(m._context_length),  # noqa: SLF001 - as above
        expert_parallel=EXPERT_PARALLEL.get(model, 1),
        ffn_active=_active(model),
        **arrays,
        sources=sources,
        provenance={
            "tool": f"{PACKAGE} {metadata.version(PACKAGE)}",
            "data": f"{whose.backend} {_database_version(platform, whose.backend)} on {platform}",
            "licence": "Apache-2.0",
        }
        | ({"fp8": "one scale a block"} if is_mixture(model) and precision == "fp8" else {}),
    )


def _weight_bytes(opened: Opened) -> float:
    """Of the language model; a mixture's list of prefill operators leaves out the output matrix."""
    found = sum(op.get_weights() for op in opened.model.context_ops)
    left_out = 0 if LOGITS in opened.names else opened.model.generation_ops[opened.logits].get_weights()
    return float(found + left_out)


def _active(model: str) -> float:
    """Feed-forward weights that a token of one accelerator meets, over those that this accelerator holds.

    With E experts of which k are active, shared by P accelerators: each holds 1 / P of them and its tokens meet k / E of all, so
    P k / E. By hand: 8 of 128 on 8 accelerators is 0.5.
    """
    s = shapes(model)
    return EXPERT_PARALLEL.get(model, 1) * s.active_experts / s.experts if s.experts else 1.0


def _tabulate(opened: Opened) -> tuple[dict[str, Any], dict[str, NDArray[np.uint8]]]:
    n, m, p, q, b, k = grids.tokens(), grids.sequences(), grids.chunks(), grids.prefixes(), grids.batches(), grids.contexts()
    core, logits = opened.names.index(CORE), opened.logits
    engine = opened.engine

    def linear(ops: list[int]) -> Callable[[int], Any]:
        return lambda x: engine.evaluate_context_ops(ops, batch_size=1, s=int(x), x=int(x))

    rows = [_line(linear(opened.indices(c)), n) for c in LINEAR_COMPONENTS]
    gemm = [_line(linear(opened.indices(c, gemm_only=True)), n) for c in LINEAR_COMPONENTS]
    emitted = _line(lambda x: engine.evaluate_generation_ops([logits], batch_size=int(x), s=1024), m)
    prompt = _plane(lambda c, f: engine.evaluate_context_ops([core], batch_size=1, s=int(c), prefix=int(f)), p, q)
    decode = _plane(lambda s, c: engine.evaluate_generation_ops([core], batch_size=int(s), s=int(c)), b, k)
    tokens, count, encoder = _encoder(opened)
    arrays = {
        "token_n": n,
        "linear_s": np.stack([r[0] for r in rows]),
        "linear_gemm_s": np.stack([r[0] for r in gemm]),
        "logits_n": m,
        "logits_s": emitted[0],
        "prefill_chunk": p,
        "prefill_prefix": q,
        "prefill_attention_s": prompt[0],
        "decode_batch": b,
        "decode_kv": k,
        "decode_attention_s": decode[0],
        "encoder_tokens": tokens,
        "encoder_images": count,
        "encoder_s": encoder[0],
    }
    sources = {
        "linear_s": np.stack([r[1] for r in rows]),
        "linear_gemm_s": np.stack([r[1] for r in gemm]),
        "logits_s": emitted[1],
        "prefill_attention_s": prompt[1],
        "decode_attention_s": decode[1],
        "encoder_s": encoder[1],
    }
    return arrays, sources


def _encoder(opened: Opened) -> tuple[Any, Any, tuple[NDArray[np.float64], NDArray[np.uint8]]]:
    if not opened.model.encoder_ops:
        none = np.zeros(0, dtype=np.int64)
        return none, none, (np.zeros((0, 0)), np.zeros((0, 0), dtype=np.uint8))
    tokens, count = grids.image_tokens(), grids.images()
    return tokens, count, _plane(encoding(opened), tokens, count)


def encoding(opened: Opened) -> Callable[[int, int], list[Any]]:
    """The engine's encoder: operators that encode so many images of so many visual tokens (after merging) each."""
    from aiconfigurator_core.sdk.engine import build_ops_json

    operators = list(opened.model.encoder_ops)
    after = [o for o in operators if "projector" in str(o._name) or "all_gather" in str(o._name)]  # noqa: SLF001 - no public name
    before = build_ops_json([o for o in operators if o not in after])
    projector = build_ops_json(after)

    def encode(t: int, i: int) -> list[Any]:
        t, i = int(t), int(i)
        patches = t * PATCHES_PER_TOKEN
        first = opened.engine.evaluate_ops_json(before, is_context=True, batch_size=i, s=patches, x=patches * i)
        return [*first, *opened.engine.evaluate_ops_json(projector, is_context=True, batch_size=i, s=t, x=t * i)]

    return encode


def _line(evaluate: Callable[[int], Sequence[Any]], grid: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    values = [_sum(evaluate(x)) for x in grid]
    return np.array([v for v, _ in values]), np.array([s for _, s in values], dtype=np.uint8)


def _plane(
    evaluate: Callable[[int, int], Sequence[Any]], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    values = [[_sum(evaluate(r, c)) for c in columns] for r in rows]
    return np.array([[v for v, _ in line] for line in values]), np.array(
        [[s for _, s in line] for line in values], dtype=np.uint8
    )


def _sum(operators: Sequence[Any]) -> tuple[float, int]:
    """Seconds of a list of operators and their worst source; the package's energies are 0.0 and never read."""
    worst = max((_CODES.get(o[3], Source.EMPIRICAL) for o in operators if o[1] > 0), default=Source.SILICON)
    return sum(float(o[1]) for o in operators) / 1e3, int(worst)


def _kv_bytes(model: Any, tensor_parallel: int) -> float:
    """Keys and values of one token on one accelerator, 16 bits each (vLLM's default): 2 x heads x width x layers."""
    heads = max(model._num_kv_heads / tensor_parallel, 1)  # noqa: SLF001 - no public name
    return float(2 * heads * model._head_size * model._num_layers * KV_BYTES)  # noqa: SLF001 - as above


def _database_version(platform: str, backend: str) -> str:
    from aiconfigurator_core.sdk.perf_database import get_database

    found = get_database(platform, backend, VERSION)
    if found is None:
        raise EvidenceError(f"{PACKAGE} has no '{VERSION}' {backend} data for {platform}")
    return str(found.version)
