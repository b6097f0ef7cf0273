"""The tail of the time to first token as a reading: which percentile it is, at the very request."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deltastack.fleet.simulator import percentiles
from deltastack.fleet.slo import Objectives
from tests.fakes import fake_result, fake_trace


@pytest.mark.parametrize(("late", "tail"), [(1, "0.5 s"), (9, "0.5 s"), (11, "5 s"), (40, "5 s")])
def test_one_request_in_a_hundred_decides(late: int, tail: str) -> None:
    """Of 1,000 requests 11 that wait 5 s are the 99th percentile, 9 are not; of the 95th 40 would not be either."""
    first_s = np.where(np.arange(1000) < late, 5.0, 0.5)
    ran = fake_result(start_s=np.zeros(1000), first_token_s=first_s, finish_s=first_s)
    requests = replace(fake_trace(1000, 1.0), output_tokens=np.ones(1000, np.int64))

    assert Objectives(requests=requests, goal_s=np.zeros(1000), share=0.9).misses(ran)[0].endswith(f"p99 of TTFT {tail}")


@pytest.mark.parametrize(("late", "tail"), [(9, "0.5 s"), (11, "5 s"), (40, "5 s")])
def test_one_request_in_a_hundred_decides_the_time_of_a_token(late: int, tail: str) -> None:
    """The same of the time per token after the first: two tokens, the second 0.5 or 5 s after the first."""
    second_s = np.where(np.arange(1000) < late, 5.0, 0.5)
    ran = fake_result(start_s=np.zeros(1000), first_token_s=np.zeros(1000), finish_s=second_s)
    requests = replace(fake_trace(1000, 1.0), output_tokens=np.full(1000, 2, np.int64))

    assert Objectives(requests=requests, goal_s=np.zeros(1000), share=0.9).misses(ran)[0].endswith(f"p99 of TPOT {tail}")


def test_percentiles_by_hand() -> None:
    """0 to 100 in steps of 1: the percentile p is p."""
    assert percentiles(np.arange(101.0)) == {"p50": 50.0, "p90": 90.0, "p99": 99.0}
