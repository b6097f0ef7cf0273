"""The mechanism ``micro_batches``: what every technique with lanes does in order to keep more than one of them busy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from deltastack.layers.technique import Mechanism

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.testbed.switches import settings
    from deltastack.testbed.vlm.engine import Engine


class WithLanes(Protocol):
    """Values of a technique with lanes."""

    testbed: settings.Lanes


def switched(engine: Engine, p: WithLanes) -> AbstractContextManager[None]:
    """Each batch cut as the technique cuts it, each part in a thread of its own; no lane is shared."""
    from deltastack.testbed.switches import placement

    return placement.micro_batches(engine, p.testbed)


MICRO_BATCHES = Mechanism(
    name="micro_batches",
    words="cuts each batch in parts, and reads the weights once for each",
    switch=switched,
)
