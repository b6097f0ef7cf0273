"""Feed-forward layers with most of their weight blocks pruned, stored and multiplied as sparse blocks.

A block is 16 neighbouring outputs of one input: W (N, K) is cut into N/16 x K blocks, those with the largest norm are kept
until ``density`` of them are, in each layer by itself. Nothing is trained again, so quality shows what pruning alone does.

Together with eight-bit layers, the feed-forward layers stay sparse and in 32 bits, from the eight-bit numbers.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from deltastack.errors import OutOfValidityError
from deltastack.model import Component
from deltastack.testbed.switches.preconditions import only_on_processor
from deltastack.testbed.switches.stored_names import BLOCK, CODES, INPUTS, SCALES, STARTS, VALUES
from deltastack.testbed.vlm.serving import Rank, Ranked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor

    from deltastack.testbed.switches.settings import SparseGemm
    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Host
    from deltastack.testbed.vlm.serving import Tensors

NAME = "sparse_gemm"


def sparse_gemm(engine: Engine, p: SparseGemm) -> AbstractContextManager[None]:
    """Keep ``p.density`` of the blocks of every feed-forward weight of the decoder.

    Raises:
        OutOfValidityError: Not the processor, or outputs that are no multiple of the block.
    """
    if p.density == 1:
        return contextlib.nullcontext()
    only_on_processor(engine, "the sparse loop is compiled for the processor")
    sites = engine.host.sites(Component.FFN)
    ragged = [s.path for s in sites if s.module.out_features % BLOCK]
    if ragged:
        raise OutOfValidityError(f"not applicable: {ragged[0]} has outputs that are no multiple of {BLOCK}")
    return _sparse(engine, tuple(s.path for s in sites), p.density)


@contextlib.contextmanager
def _sparse(engine: Engine, paths: tuple[str, ...], density: float) -> Iterator[None]:
    name = f"{NAME}_{density:g}"
    with (
        engine.register("storage_hooks", name, lambda tensors: to_blocks(tensors, paths, density)),
        engine.register("changes", name, Ranked(Rank.MODULES, NAME, _swapped)),
    ):
        yield


def to_blocks(tensors: Tensors, paths: tuple[str, ...], density: float) -> Tensors:
    """The tensors with the weights at ``paths`` (or their eight-bit codes) replaced by their kept blocks."""
    stored = dict(tensors)
    for path in paths:
        weight = _taken(stored, path)
        if weight is not None:
            stored[path + STARTS], stored[path + INPUTS], stored[path + VALUES] = blocks(weight, density)
    return stored


def blocks(weight: Tensor, density: float) -> tuple[Tensor, Tensor, Tensor]:
    """Kept blocks of W (N, K): where each block row begins (N/16 + 1,), their inputs (B,), their values (B, 16)."""
    import torch

    n, k = weight.shape
    cut = weight.to(torch.float32).view(n // BLOCK, BLOCK, k).transpose(1, 2)
    norm = cut.norm(dim=2)
    kept = max(1, round(density * norm.numel()))
    chosen = torch.zeros(norm.numel(), dtype=torch.bool)
    chosen[norm.flatten().topk(kept).indices] = True
    chosen = chosen.view(norm.shape)
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), chosen.sum(1).cumsum(0)])
    inputs = chosen.nonzero()[:, 1].to(torch.int32)
    return starts, inputs, cut[chosen].contiguous()


def _taken(stored: Tensors, path: str) -> Tensor | None:
    """The weight at ``path``, removed from ``stored``; None where there is none."""
    if path + CODES in stored:
        codes, scales = stored.pop(path + CODES), stored.pop(path + SCALES)
        return codes.to(scales.dtype) * scales[:, None]
    return stored.pop(f"{path}.weight", None)


@contextlib.contextmanager
def _swapped(host: Host, spare: Tensors) -> Iterator[None]:
    from deltastack.testbed.switches.sparse_linear import SparseLinear

    sites = [s for s in host.sites(Component.FFN) if s.path + VALUES in spare]
    for s in sites:
        setattr(s.parent, s.name, SparseLinear(s.path, s.module, spare))
    try:
        yield
    finally:
        for s in sites:
            setattr(s.parent, s.name, s.module)
