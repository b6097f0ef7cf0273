"""Which operator tables there are, and how to get them: the snapshots that ship with the project."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from deltastack.errors import UnknownNameError
from deltastack.fleet.operators import roofline, snapshot

if TYPE_CHECKING:
    from deltastack.fleet.accelerator import Platform
    from deltastack.fleet.operators.tables import OperatorTables

SNAPSHOTS = Path(__file__).parent / "snapshots"
NO_ENCODER = {"a100_sxm": "the attention of visual encoders was never measured on it"}

SCHEMES = {
    "bf16": "16 bits",
    "fp8": "e4m3, one scale a tensor for weights and one for activations (static), quantizing activations a kernel of its own",
    "nvfp4": "4 bits, one 8-bit scale for 16 of them and one a tensor",
}
"""How numbers of a precision are scaled in the kernels of the operator tables. Source: aiconfigurator's collector
of vLLM's matrix products (Fp8Config with a static activation scheme and no block size; block-wise fp8 is another kernel there,
slower than bf16 when decoding, and in no table here)."""


class Known(NamedTuple):
    """One combination that a table exists for."""

    model: str
    platform: str
    precision: str
    tensor_parallel: int


@lru_cache(maxsize=1)
def known() -> tuple[Known, ...]:
    """Every combination that ships, in order."""
    found = []
    for path in sorted(SNAPSHOTS.glob("*.npz")):
        model, platform, precision, parallel = path.stem.split("__")
        found.append(Known(model.replace("--", "/", 1), platform, precision, int(parallel.removeprefix("tp"))))
    return tuple(found)


@lru_cache(maxsize=16)
def load_tables(model: str, platform: str, precision: str, tensor_parallel: int = 1) -> OperatorTables:
    """The operator tables of one combination.

    Raises:
        UnknownNameError: There is none; the message lists what there is for the nearest match.
    """
    wanted = Known(model, platform, precision, tensor_parallel)
    if wanted not in known():
        raise UnknownNameError(_message(wanted))
    return snapshot.load(SNAPSHOTS / snapshot.name(*wanted))


def tables_for(model: str, platform: Platform, precision: str, tensor_parallel: int = 1) -> OperatorTables:
    """The measured tables of one combination; a roofline where the platform has none of any model.

    Raises:
        UnknownNameError: Neither: the message lists what there is.
    """
    every = known()
    measured = any(k.platform == platform.name for k in every)
    of_model = [k for k in every if k.model == model]
    if measured or not of_model or (platform.name in NO_ENCODER and "-VL-" in model):
        return load_tables(model, platform.name, precision, tensor_parallel)
    limit = load_tables(*of_model[0]).context_limit_tokens
    return roofline.build(model, platform, precision, tensor_parallel, context_limit_tokens=limit)


def _message(wanted: Known) -> str:
    every = known()
    if wanted.platform in NO_ENCODER and "-VL-" in wanted.model:
        return f"{wanted.model} on {wanted.platform}: {NO_ENCODER[wanted.platform]}; text models and other platforms work"
    for word in ("model", "platform", "precision", "tensor_parallel"):
        have = sorted({getattr(k, word) for k in every})
        if getattr(wanted, word) not in have:
            return f"no operator times for {word} '{getattr(wanted, word)}'; there are: {', '.join(map(str, have))}"
    near = [k for k in every if k.model == wanted.model and k.platform == wanted.platform]
    fits = ", ".join(f"{k.precision} x {k.tensor_parallel}" for k in near) or "none"
    return (
        f"no operator times for {wanted.model} in {wanted.precision} on {wanted.platform} x {wanted.tensor_parallel}; "
        f"on that platform this model has: {fits}"
    )
