"""Linear layers in eight bits, or everything in bfloat16: stored so, loaded so, computed so.

int8, symmetric by output channel, with activations quantized by their own range at every call:

    s_n = max_k |W_nk| / 127        codes_nk = round(W_nk / s_n)        y = s_x s_n (q_x . codes_n) + b

The file holds the codes, so that the disk is asked for a quarter of the bytes; packing for the processor's kernels happens
at every load and is charged to storage. A head that shares its weight with the embedding stays as it is.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING

from deltastack.testbed.switches.preconditions import only_on_processor
from deltastack.testbed.switches.stored_names import CODES, SCALES
from deltastack.testbed.vlm.serving import Rank, Ranked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor

    from deltastack.testbed.switches.settings import LowPrecision
    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Host
    from deltastack.testbed.vlm.serving import Tensors


PACKING = "packing"


def low_precision(engine: Engine, p: LowPrecision) -> AbstractContextManager[None]:
    """Serve in ``p.number``.

    Raises:
        OutOfValidityError: int8 on a device whose kernels are not there.
    """
    if p.number == "as_served":
        return contextlib.nullcontext()
    if p.number == "bfloat16":
        return bfloat16(engine)
    only_on_processor(engine, "the int8 kernels here are the processor's")
    return _int8(engine)


def bfloat16(engine: Engine) -> AbstractContextManager[None]:
    """Everything stored and computed in bfloat16; also the other baseline of int8, since it is what accelerators serve in."""
    return engine.register("storage_hooks", "bfloat16", to_bfloat16)


@contextlib.contextmanager
def _int8(engine: Engine) -> Iterator[None]:
    paths = tuple(s.path for s in engine.host.sites())
    with (
        engine.register("storage_hooks", "int8", lambda tensors: to_int8(tensors, paths)),
        engine.register("changes", "int8", Ranked(Rank.MODULES, "int8", _swapped)),
    ):
        yield


@contextlib.contextmanager
def packing(engine: Engine, p: LowPrecision) -> Iterator[None]:
    """What int8 does at every load, alone: codes of the same shapes are packed and let go, and the model serves as it was.

    Raises:
        OutOfValidityError: As ``low_precision``.
    """
    if p.number != "int8":
        yield
        return
    only_on_processor(engine, "the int8 kernels here are the processor's")
    with engine.register("changes", PACKING, Ranked(Rank.MODULES, PACKING, partial(_packed, stored=_codes(engine.host)))):
        yield


def _codes(host: Host) -> Tensors:
    """Codes and scales of every linear layer: how long packing takes does not depend on the numbers."""
    import torch

    found: Tensors = {}
    for s in host.sites():
        found[s.path + CODES] = torch.zeros((s.module.out_features, s.module.in_features), dtype=torch.int8)
        found[s.path + SCALES] = torch.ones(s.module.out_features)
    return found


@contextlib.contextmanager
def _packed(host: Host, spare: Tensors, *, stored: Tensors) -> Iterator[None]:
    """Every linear layer packed once and let go."""
    del spare
    from deltastack.testbed.switches.int8_linear import Int8Linear

    for s in host.sites():
        Int8Linear(s.path, s.module, stored).release()
    yield


def to_bfloat16(tensors: Tensors) -> Tensors:
    """Every floating tensor, rounded to bfloat16."""
    import torch

    return {k: v.to(torch.bfloat16) if v.is_floating_point() else v for k, v in tensors.items()}


def to_int8(tensors: Tensors, paths: tuple[str, ...]) -> Tensors:
    """The tensors with each linear layer's weight (N, K) replaced by codes (N, K) and scales (N,)."""
    stored = dict(tensors)
    for path in paths:
        weight = stored.pop(f"{path}.weight", None)
        if weight is not None:
            stored[path + CODES], stored[path + SCALES] = quantized(weight)
    return stored


def quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Codes (N, K) int8 and scales (N,) float32 of a weight (N, K); a channel of zeros has scale 1."""
    import torch

    w = weight.to(torch.float32)
    largest = w.abs().amax(dim=1)
    scales = torch.where(largest > 0, largest / 127, torch.ones_like(largest))
    return (w / scales[:, None]).round().to(torch.int8), scales


@contextlib.contextmanager
def _swapped(host: Host, spare: Tensors) -> Iterator[None]:
    """Linear layers whose codes are there, replaced by integer ones."""
    from deltastack.testbed.switches.int8_linear import Int8Linear

    sites = [s for s in host.sites() if s.path + CODES in spare]
    for s in sites:
        setattr(s.parent, s.name, Int8Linear(s.path, s.module, spare))
    try:
        yield
    finally:
        for s in sites:
            setattr(s.parent, s.name, s.module)
