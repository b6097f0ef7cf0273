"""What ``deltastack simulate`` says of several draws: ends over all of them, and nothing of what one of them lacks."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from deltastack.fleet.deployment_query import _usage
from deltastack.model import Component, Evidence, Reading, Resource, Usage


def run(ffn_s: float, usd: float | None) -> SimpleNamespace:
    """One draw that spends ``ffn_s`` of time, and money or nobody knows how much."""
    reason = None if usd is not None else "no price"
    time = Reading(Component.FFN, Resource.TIME_S, ffn_s, Evidence.SIMULATED)
    return SimpleNamespace(usage=Usage(readings=(time, Reading(Component.FFN, Resource.COST_USD, usd, Evidence.ASSUMED, reason))))


@pytest.mark.parametrize(("usd", "ends"), [((1.0, 2.0, 3.0), (1.0, 3.0)), ((1.0, None, 3.0), (None, None))])
def test_ends_are_of_all_draws(usd: tuple[float | None, ...], ends: tuple[float | None, float | None]) -> None:
    """5, 7 and 4 s are 5 [4, 7], the first in the middle; money that one draw lacks has no ends, and no zero is put in."""
    time, money = _usage([run(s, x) for s, x in zip((5.0, 7.0, 4.0), usd, strict=True)])  # type: ignore[misc]

    assert (time["amount"], time["lo"], time["hi"]) == (5.0, 4.0, 7.0)
    assert (money["amount"], money["lo"], money["hi"]) == (1.0, *ends)
    assert _usage([run(5.0, 1.0)])[0]["lo"] is None  # type: ignore[list-item]
