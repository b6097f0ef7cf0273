"""Parts of the decoder on lanes of their own: whole layers (``layer_placement``), or attention and feed-forward apart.

Both need more than one micro-batch, and pay for it: every micro-batch reads all weights again. Two lanes keep at most two
cores busy, so the fair comparison is the same cores used freely: ``two_threads`` inside every operation, ``free_lanes`` with
one thread a micro-batch. An analogue: the lanes are cores that share their memory, no chiplet and no link was measured.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Literal

from deltastack.errors import OutOfValidityError
from deltastack.testbed.switches.lanes import BY, Lanes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from deltastack.testbed.switches.settings import Lanes as LaneValues
    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.serving import Placement

CORES = 2
"""What the other baselines may use: as many as two lanes can keep busy."""


def layer_placement(engine: Engine, p: LaneValues) -> AbstractContextManager[None]:
    """Consecutive decoder layers in ``p.lanes`` lanes; a student with fewer layers than lanes leaves some of them empty.

    Raises:
        OutOfValidityError: More lanes than decoder layers.
    """
    layers = len(engine.host.layers)
    if p.lanes > layers:
        raise OutOfValidityError(f"not applicable: {p.lanes} lanes for {layers} decoder layers; at most {layers}")

    def placed(layer: int, part: Literal["attention", "ffn"]) -> str:
        del part
        return f"chiplet_{layer * p.lanes // len(engine.host.layers)}"

    return _placing(engine, p, "layer_placement", placed)


def attention_ffn(engine: Engine, p: LaneValues) -> AbstractContextManager[None]:
    """Attention in one lane, feed-forward in another.

    Raises:
        OutOfValidityError: Another number of lanes than one (off) or two.
    """
    if p.lanes > 2:  # noqa: PLR2004 - a layer has two parts
        raise OutOfValidityError(
            f"not applicable: a decoder layer has two parts, attention and feed-forward; {p.lanes} lanes asked"
        )

    def placed(layer: int, part: Literal["attention", "ffn"]) -> str:
        del layer
        return part

    return _placing(engine, p, "attention_ffn", placed)


def two_threads(engine: Engine) -> AbstractContextManager[None]:
    """The other baseline: the same two cores inside every operation of the library."""
    del engine
    return _threads(CORES)


def free_lanes(engine: Engine) -> AbstractContextManager[None]:
    """The other baseline: two micro-batches in threads, no lane ever shared."""
    return _held(engine, CORES)


def micro_batches(engine: Engine, p: LaneValues) -> AbstractContextManager[None]:
    """What both placements share, alone: the batch cut in micro-batches, each in a thread, no lane ever shared."""
    return contextlib.nullcontext() if p.lanes == 1 or p.micro_batches == 1 else _held(engine, p.micro_batches)


@contextlib.contextmanager
def _placing(engine: Engine, p: LaneValues, name: str, placed: Placement) -> Iterator[None]:
    if p.lanes == 1 or p.micro_batches == 1:
        yield
        return
    with _held(engine, p.micro_batches), engine.register("placements", name, placed):
        yield


@contextlib.contextmanager
def _held(engine: Engine, micro_batches: int) -> Iterator[None]:
    runner = engine.serving.runner if isinstance(engine.serving.runner, Lanes) else Lanes()
    most = max(micro_batches, engine.serving.micro_batches)
    with (
        engine.override("runner", runner, by=BY, shared=True),
        engine.override("micro_batches", most, by=BY, shared=True),
    ):
        yield


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
