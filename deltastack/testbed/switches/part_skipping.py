"""Requests of one kind pass by some layers in the middle of the decoder, from their prompt to their last token.

The router is the request's own kind: with an image or without. A layer that is passed by is passed by for every token of the
request, so it has no keys and values of it and needs none. The first layer is never passed by: positions are counted there.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any

from deltastack.errors import OutOfValidityError
from deltastack.testbed.switches import layer_bypass
from deltastack.testbed.vlm.serving import Rank, Ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from deltastack.testbed.switches.settings import PartSkipping
    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Batch, Host
    from deltastack.testbed.vlm.serving import Tensors

NAME = "part_skipping"


def part_skipping(engine: Engine, p: PartSkipping) -> AbstractContextManager[None]:
    """Requests of ``p.kind`` skip ``p.skipped`` of the decoder's layers.

    Raises:
        OutOfValidityError: A decoder of a single layer.
    """
    if len(engine.host.layers) == 1:
        raise OutOfValidityError("not applicable: the decoder has one layer, and the first is never skipped")
    return contextlib.nullcontext() if p.skipped == 0 else _skipping(engine, p)


def skipped(layers: int, share: float) -> range:
    """Which of ``layers`` are skipped: the middle ones, as many as are nearest to ``share``, at least one, never the first.

    >>> list(skipped(6, 1 / 3)), list(skipped(3, 1 / 3)), list(skipped(2, 0.9))
    ([2, 3], [1], [1])
    """
    count = min(max(1, round(share * layers)), layers - 1)
    first = (layers - count + 1) // 2
    return range(first, first + count)


@contextlib.contextmanager
def _skipping(engine: Engine, p: PartSkipping) -> Iterator[None]:
    def route(batch: Batch) -> AbstractContextManager[None]:
        return layer_bypass.going(NAME, batch.kind == p.kind)

    change = Ranked(Rank.HOOKS, NAME, partial(_changed, share=p.skipped))
    with engine.register("batch_hooks", NAME, route), engine.register("changes", NAME, change):
        yield


@contextlib.contextmanager
def _changed(host: Host, spare: Tensors, *, share: float) -> Iterator[None]:
    del spare
    with contextlib.ExitStack() as stack:
        for i in skipped(len(host.layers), share):
            stack.enter_context(layer_bypass.passing(host.layers[i], _by))
        yield


def _by(own: Callable[..., Any], hidden: Any, *args: Any, **named: Any) -> Any:
    return hidden if layer_bypass.way(NAME) else own(hidden, *args, **named)
