"""Two stations in a loop: the formula, its simulation, the negative control, and links between dies."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltastack.errors import OutOfValidityError
from deltastack.fleet.physics import disaggregation, links
from deltastack.fleet.physics.disaggregation import Stations

stations = st.builds(Stations, attention_s=st.floats(0.1, 2), ffn_s=st.floats(0.1, 2), hop_s=st.floats(0, 1))


def test_the_negative_control() -> None:
    """One micro-batch, no link, equal stations: exactly half of a station's rate."""
    assert disaggregation.rate_per_s(Stations(attention_s=1.0, ffn_s=1.0, hop_s=0.0), 1) == 0.5


def test_by_hand() -> None:
    """T_a = T_e = 1, T_c = 0.4: one micro-batch 1 / 2.8, two 2 / 2.8, three fill the stations (needed: 2 (1 + 0.4) = 2.8)."""
    s = Stations(attention_s=1.0, ffn_s=1.0, hop_s=0.4)

    assert [disaggregation.rate_per_s(s, m) for m in (1, 2, 3)] == pytest.approx([1 / 2.8, 2 / 2.8, 1.0])
    assert disaggregation.micro_batches_needed(s) == 3


@settings(max_examples=40, deadline=None)
@given(stations, st.integers(1, 6))
def test_without_noise_the_simulation_is_the_formula(s: Stations, micro_batches: int) -> None:
    """Closed loop of two stations: rate min(1 / max(T_a, T_e), m / (T_a + T_e + 2 T_c)), to 1e-3 of the start-up."""
    found = disaggregation.simulated_rate_per_s(s, micro_batches, variation=0.0, passes=6000)

    assert found == pytest.approx(disaggregation.rate_per_s(s, micro_batches), rel=2e-3)


@pytest.mark.parametrize(("variation", "expected"), [(0.2, 0.93), (0.5, 0.82)])
def test_noise_costs_what_the_formula_does_not_know(variation: float, expected: float) -> None:
    """T_c / T_f = 0.4, m = 3: 1.00 without noise, 0.93 and 0.82 with gamma step times of variation 0.2 and 0.5."""
    s = Stations(attention_s=1.0, ffn_s=1.0, hop_s=0.4)

    assert disaggregation.simulated_rate_per_s(s, 3, variation=variation, passes=60_000, seed=1) == pytest.approx(
        expected, abs=0.01
    )


@given(stations, st.integers(1, 8))
def test_the_needed_number_is_the_least(s: Stations, extra: int) -> None:
    """From that many micro-batches on the slower station is full; with one fewer it is not."""
    m = disaggregation.micro_batches_needed(s)
    full = 1 / max(s.attention_s, s.ffn_s)

    assert disaggregation.rate_per_s(s, m + extra) == pytest.approx(full)
    assert m == 1 or disaggregation.rate_per_s(s, m - 1) < full


def test_an_iteration_by_hand() -> None:
    """Two micro-batches, three layers, T 1 + 1, no link: 2 s for the first pass, then five beats of 1 s."""
    s = Stations(attention_s=1.0, ffn_s=1.0, hop_s=0.0)

    assert disaggregation.iteration_s(s, 2, 3) == pytest.approx(7.0)


def test_link_energy_is_a_tiny_share_of_a_layer() -> None:
    """An activation of 4096 bf16 values at 0.5 pJ/bit is 0.033 uJ; against one 233 MB layer at batch 1 a share below 7e-5."""
    hop = links.hop_energy_j(4096, 2.0, 0.5e-12)
    layer = links.dram_energy_j(233e6, 0.0, 1.0, 3.9e-12)

    assert hop == pytest.approx(3.28e-8, rel=0.01)
    assert 2e-7 <= hop / layer <= 7e-5


def test_memory_on_logic_saves_the_interface() -> None:
    """0.5, 1 and 1.5 of 3.9 pJ/bit are 13, 26 and 38 % of DRAM energy; none is exactly 0."""
    assert [links.interface_saving(i, 3.9) for i in (0.0, 0.5, 1.0, 1.5)] == pytest.approx([0.0, 0.128, 0.256, 0.385], abs=1e-3)


def test_dram_energy_shares_weights_over_the_batch() -> None:
    """At batch 8 a token pays an eighth of the weights and all of its KV."""
    assert links.dram_energy_j(800.0, 100.0, 8.0, 1.0) == pytest.approx((100 + 100) * 8)


def test_refusals() -> None:
    """No micro-batch, a station without time, a negative variation, an interface larger than the whole."""
    s = Stations(attention_s=1.0, ffn_s=1.0, hop_s=0.0)
    with pytest.raises(OutOfValidityError):
        disaggregation.rate_per_s(s, 0)
    with pytest.raises(OutOfValidityError):
        Stations(attention_s=0.0, ffn_s=1.0, hop_s=0.0)
    with pytest.raises(OutOfValidityError):
        disaggregation.simulated_rate_per_s(s, 3, variation=-0.1)
    with pytest.raises(OutOfValidityError):
        disaggregation.iteration_s(s, 1, 0)
    with pytest.raises(OutOfValidityError):
        links.interface_saving(2.0, 1.0)
    with pytest.raises(OutOfValidityError):
        links.dram_energy_j(1.0, 1.0, 0.0, 1.0)
    with pytest.raises(OutOfValidityError):
        links.hop_energy_j(-1, 1.0, 1.0)
    assert math.isfinite(disaggregation.loop_s(s))
