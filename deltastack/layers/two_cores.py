"""Other baselines of techniques that buy time with a second core: what else the same two cores could do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.layers.measurement import Baseline

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.testbed.vlm.engine import Engine


def two_threads(engine: Engine) -> AbstractContextManager[None]:
    """Two threads inside every operation."""
    from deltastack.testbed.switches import placement

    return placement.two_threads(engine)


def free_lanes(engine: Engine) -> AbstractContextManager[None]:
    """Two lanes with nothing between them."""
    from deltastack.testbed.switches import placement

    return placement.free_lanes(engine)


TWO_CORES = {
    "two_threads": Baseline("the same two cores inside every operation of the library", two_threads),
    "free_lanes": Baseline("the same two cores, one micro-batch each, no lane shared", free_lanes),
}
