"""The compiled loop against the plain-Python oracle: every number of the result, on random cramped cases."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from hypothesis import event, given, settings

from deltastack.fleet.simulator import Config, Requests, simulate
from tests.fakes import fake_tables
from tests.fleet.simulator.oracle import Oracle
from tests.strategies import serving_cases


@settings(deadline=None, max_examples=200)
@given(serving_cases())
def test_single_steps_agree_with_the_oracle(case: tuple[Requests, Config, int]) -> None:
    """Every sum, every request's times and every gap agree to 1e-9, with all policies, loops, pools, reuse and routers."""
    requests, config, seed = case
    tables, config = fake_tables(seed=seed), replace(config, macro_steps=False)

    got, want = simulate(tables, requests, config), Oracle(tables, requests, config).run()

    event(f"evictions: {got.preemptions > 0}")
    for name, value in want.items():
        np.testing.assert_allclose(getattr(got, name), value, rtol=1e-9, atol=1e-12, err_msg=name)


@settings(deadline=None, max_examples=100)
@given(serving_cases())
def test_a_jump_is_the_steps_it_skips(case: tuple[Requests, Config, int]) -> None:
    """Macro steps give every number that single steps give, to 1e-9: inside a grid segment the closed form is exact."""
    requests, config, seed = case
    tables = fake_tables(seed=seed)

    jumped = simulate(tables, requests, replace(config, macro_steps=True))
    walked = simulate(tables, requests, replace(config, macro_steps=False))

    for name in [field.name for field in fields(jumped) if field.name != "extrapolated"]:
        np.testing.assert_allclose(getattr(jumped, name), getattr(walked, name), rtol=1e-9, atol=1e-12, err_msg=name)
