"""Which encoder of a pool takes the next images, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from deltastack.fleet.simulator.encoders import first

NEVER = float("inf")


@pytest.mark.parametrize(
    ("free_s", "timeout_s", "wake_s", "wanted", "why"),
    [
        ([0.0, 0.0, 0.0], NEVER, 0.0, 0, "all are idle: the first one"),
        ([9.0, 3.0, 4.0], NEVER, 0.0, 1, "the second was idle at 5, as the third was: the first one among equals"),
        ([9.0, 8.0, 7.0], NEVER, 0.0, 2, "none is idle at 5: the one that falls free first"),
        ([1.0, 4.0], 2.0, 1.0, 1, "the first one sleeps since 3 and would be ready at 6, the second is awake"),
        ([1.0, 7.0], 2.0, 1.0, 0, "waking the first is ready at 6, before the second falls free at 7"),
        ([1.0, 5.5], 2.0, 1.0, 1, "the second falls free at 5.5, before the first has woken at 6"),
        ([3.0, 4.0], 2.0, 1.0, 0, "idle for exactly its timeout, the first is still awake"),
        ([1.0, 6.0], 2.0, 1.0, 0, "both could start at 6: the first one among equals"),
    ],
)
def test_the_encoder_that_can_start_first(free_s: list[float], timeout_s: float, wake_s: float, wanted: int, why: str) -> None:
    """Images come at 5 s."""
    assert first(np.array(free_s), 5.0, timeout_s, wake_s) == wanted, why
