"""Pooling: by hand, at correlation 1, against the Gaussian formula and the published figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deltastack.errors import OutOfValidityError
from deltastack.fleet.physics import pooling

demands = arrays(float, st.tuples(st.integers(1, 5), st.integers(2, 30)), elements=st.floats(1.0, 1e3))


def test_by_hand() -> None:
    """Two hosts that peak at 10 in turn and else hold 2: apart 20, together 12; 40 % saved at the peak itself."""
    demand = [[10.0, 2.0] * 10, [2.0, 10.0] * 10]

    assert pooling.saving(demand, quantile=1.0) == pytest.approx(0.4)


@given(demands)
def test_bounds(demand: np.ndarray) -> None:
    """At the maximum, pooling N hosts saves between nothing and 1 - 1/N."""
    found = pooling.saving(demand, quantile=1.0)

    assert -1e-12 <= found <= 1 - 1 / demand.shape[0] + 1e-12


def test_nothing_is_saved_at_correlation_one() -> None:
    """Hosts that demand the same at the same time: saving exactly 0, correlation 1 (negative control)."""
    one = np.random.default_rng(0).lognormal(size=500)
    found = pooling.pooled(np.vstack([one, one, one]))

    assert found.saving == pytest.approx(0.0, abs=1e-12)
    assert found.correlation == pytest.approx(1.0)
    assert pooling.gaussian_saving(16, 0.5, 1.0) == pytest.approx(0.0, abs=1e-12)


def test_simulated_gaussian_demand_agrees_with_the_formula() -> None:
    """16 hosts, variation 0.25, correlation 0.3: the sample's saving is the formula's within 1.5 points."""
    rng, n, rho = np.random.default_rng(1), 16, 0.3
    shared, own = rng.normal(size=40_000), rng.normal(size=(n, 40_000))
    demand = 1 + 0.25 * (np.sqrt(rho) * shared + np.sqrt(1 - rho) * own)

    assert pooling.saving(demand) == pytest.approx(pooling.gaussian_saving(n, 0.25, rho), abs=0.015)
    assert pooling.correlation(demand) == pytest.approx(rho, abs=0.02)


def test_correlation_by_hand() -> None:
    """Two opposite series have correlation -1."""
    assert pooling.correlation([[1.0, 2.0, 1.0, 2.0], [2.0, 1.0, 2.0, 1.0]]) == pytest.approx(-1.0)


def test_sixty_five_percent_more_utilization() -> None:
    """+65 % utilization is 39.4 % less capacity, and back."""
    assert pooling.capacity_saving_of(0.65) == pytest.approx(0.3939, abs=1e-4)
    assert pooling.utilization_gain(pooling.capacity_saving_of(0.65)) == pytest.approx(0.65)


def test_pond_is_reproduced_by_a_quarter_of_poolable_memory() -> None:
    """Li et al., ASPLOS 2023: 7 % of DRAM cost. A quarter poolable at 30 % saved is 7.5 %: consistent, no proof."""
    poolable, saved = 0.25, 0.30

    assert poolable * saved == pytest.approx(0.07, abs=0.01)


def test_spill_threshold_of_the_fifth_generation() -> None:
    """55 GB/s beside 3.35 TB/s: 1.6 % of live KV may spill; 110 GB/s: 3.2 %."""
    assert pooling.spill_threshold(3.35e12, 55e9) == pytest.approx(0.016, abs=5e-4)
    assert pooling.spill_threshold(3.35e12, 110e9) == pytest.approx(0.032, abs=5e-4)


def test_break_even_bandwidth() -> None:
    """147,456 B a token against 22 us of prefill a token: 6.7 GB/s."""
    assert pooling.break_even_bytes_per_s(147_456, 22e-6) == pytest.approx(6.7e9, rel=0.01)


def test_the_interval_holds_the_estimate_and_narrows_with_time() -> None:
    """Ten times the instants give a narrower interval around the saving."""
    rng = np.random.default_rng(4)
    short, long = (pooling.pooled(rng.lognormal(0, 0.5, (8, t))) for t in (200, 4000))

    assert long.high - long.low < short.high - short.low
    assert long.low <= long.saving <= long.high


def test_rare_demand_has_an_interval_too() -> None:
    """Two hosts that need memory in 5 and 4 of 288 instants, never together: many resamples hold no demand, and are left out."""
    demand = np.zeros((2, 288))
    demand[0, 100:105], demand[1, 200:204] = 10.0, 10.0

    found = pooling.pooled(demand)
    assert found.saving == pytest.approx(0.5)
    assert found.low <= found.saving <= found.high


def test_refusals() -> None:
    """A single instant, no demand, constant demand, impossible arguments."""
    for bad in ([[1.0]], [1.0, 2.0], [[np.nan, 1.0]]):
        with pytest.raises(OutOfValidityError):
            pooling.saving(bad)
    with pytest.raises(OutOfValidityError):
        pooling.saving([[0.0, 0.0]])
    with pytest.raises(OutOfValidityError):
        pooling.correlation([[1.0, 1.0], [1.0, 1.0]])
    with pytest.raises(OutOfValidityError):
        pooling.gaussian_saving(0, 0.5, 0.2)
    with pytest.raises(OutOfValidityError):
        pooling.spill_threshold(0.0, 1.0)
    with pytest.raises(OutOfValidityError):
        pooling.utilization_gain(1.0)
    with pytest.raises(OutOfValidityError):
        pooling.capacity_saving_of(-1.0)
    with pytest.raises(OutOfValidityError):
        pooling.break_even_bytes_per_s(1.0, 0.0)
