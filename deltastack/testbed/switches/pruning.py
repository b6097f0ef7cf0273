"""Heads and channels cut out of every decoder layer, so that its matrices are smaller and not merely full of zeros.

What is cut is chosen by ``cutting``. ``weight_zeroing`` cuts nothing out: it writes zeros into the dense matrices, the null.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from deltastack.model import Component
from deltastack.testbed.switches.prune_weights import HEADS, PARTS, blocks, cut
from deltastack.testbed.vlm.serving import Rank, Ranked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from torch import nn

    from deltastack.testbed.switches.prune_weights import Part
    from deltastack.testbed.switches.settings import Pruning, Zeroing
    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Host
    from deltastack.testbed.vlm.serving import StorageHook, Tensors


def head_pruning(engine: Engine, p: Pruning) -> AbstractContextManager[None]:
    """Keep ``p.kept`` of the heads of every decoder layer.

    Raises:
        OutOfValidityError: Attention whose parts have other names, or nothing that was trained again with that share.
    """
    return _pruned(engine, "head_pruning", p)


def weight_pruning(engine: Engine, p: Pruning) -> AbstractContextManager[None]:
    """Keep ``p.kept`` of the feed-forward channels of every decoder layer.

    Raises:
        OutOfValidityError: Feed-forward blocks whose parts have other names, or nothing that was trained again with that share.
    """
    return _pruned(engine, "weight_pruning", p)


def weight_zeroing(engine: Engine, p: Zeroing) -> AbstractContextManager[None]:
    """Zero in place of every small weight of the decoder's linear layers; the products stay dense."""
    if p.below == 0:
        return contextlib.nullcontext()
    paths = tuple(s.path for s in engine.host.sites(Component.ATTENTION, Component.FFN))
    return engine.register("reshape_hooks", f"weight_zeroing_{p.below:g}", partial(zeroed, paths=paths, below=p.below))


def _pruned(engine: Engine, name: str, p: Pruning) -> AbstractContextManager[None]:
    part = PARTS[name]
    found = blocks(engine.host, part)
    if p.kept == 1:
        return contextlib.nullcontext()
    return _cutting(engine, name, partial(cut, part=part, blocks=found, share=p.kept), p)


@contextlib.contextmanager
def _cutting(engine: Engine, name: str, cutting: StorageHook, p: Pruning) -> Iterator[None]:
    again = engine.retrained if p.retrained else None
    mark = "" if again is None else f"_{again.mark(name, p.kept)}"

    def stored(tensors: Tensors) -> Tensors:
        left = cutting(tensors)
        return left if again is None or engine.serving.student is not None else again.put(left, name)

    resized = partial(_resized, part=PARTS[name], share=p.kept)
    with (
        engine.register("reshape_hooks", f"{name}_{p.kept:g}{mark}", stored),
        engine.register("changes", name, Ranked(Rank.WEIGHTS, name, resized)),
    ):
        yield


def zeroed(tensors: Tensors, paths: tuple[str, ...], below: float) -> Tensors:
    """The tensors with zeros in place of weights at ``paths`` smaller than ``below`` standard deviations of their matrix."""
    stored = dict(tensors)
    for path in paths:
        weight = stored.get(f"{path}.weight")
        if weight is not None:
            stored[f"{path}.weight"] = weight.masked_fill(weight.abs() < below * weight.float().std(), 0)
    return stored


@contextlib.contextmanager
def _resized(host: Host, spare: Tensors, *, part: Part, share: float) -> Iterator[None]:
    """The blocks' modules say the sizes that their weights have; who stands in for them and who counts work reads these."""
    del spare
    with contextlib.ExitStack() as stack:
        for layer in host.layers:
            block: Any = getattr(layer, part.child)
            units = part.units(block)
            kept = part.kept(units, share)
            if part is HEADS:
                width = block.q_proj.out_features // block.head_dim
                stack.enter_context(_saying(block, "num_heads", width // units * kept))
            for name, axis in part.axes.items():
                module, word = getattr(block, name), ("out_features", "in_features")[axis]
                stack.enter_context(_saying(module, word, getattr(module, word) // units * kept))
        yield


@contextlib.contextmanager
def _saying(module: nn.Module, name: str, value: int) -> Iterator[None]:
    before = vars(module).get(name)
    setattr(module, name, value)
    try:
        yield
    finally:
        if before is None:
            delattr(module, name)
        else:
            setattr(module, name, before)
