"""Packaging: by hand, one chiplet is the monolith, published orderings, the band."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import OutOfValidityError
from deltastack.fleet.physics import packaging
from deltastack.fleet.physics.packaging import Bonding, Process, Yield

FIVE_NM = Process()
SEVEN_NM = Process(defects_per_mm2=0.09e-2, wafer_usd=9346.0)


def test_yield_by_hand() -> None:
    """800 mm2 at 0.11 defects per cm2 is 0.88 faults: 0.430, 0.415, 0.442, 0.532 by model."""
    found = [packaging.die_yield(800.0, 0.11e-2, 10.0, m) for m in Yield]

    assert found == pytest.approx([0.4302, 0.4148, 0.4423, 0.5319], abs=1e-4)


@given(st.floats(1, 800), st.floats(1e-5, 5e-3))
def test_models_are_ordered(area: float, density: float) -> None:
    """Poisson is never above Murphy, Murphy never above Seeds; all lie in 0..1 and negative binomial tends to Poisson."""
    poisson, murphy, seeds = (packaging.die_yield(area, density, 10.0, m) for m in (Yield.POISSON, Yield.MURPHY, Yield.SEEDS))

    assert 0 < poisson <= murphy * (1 + 1e-12) <= seeds * (1 + 2e-12) <= 1 + 1e-9
    assert packaging.die_yield(area, density, 1e9, Yield.NEGATIVE_BINOMIAL) == pytest.approx(poisson, rel=1e-5)


def test_dies_per_wafer_by_hand() -> None:
    """100 mm2 with 0.2 mm scribe on 145 mm of radius: side 10.2, 634.9 - 63.2 = 571.7 dies."""
    expected = math.pi * 145**2 / 10.2**2 - math.pi * 2 * 145 / math.sqrt(2 * 10.2**2)

    assert packaging.dies_per_wafer(100.0, scribe_mm=0.2, edge_mm=5.0) == pytest.approx(expected)
    assert expected == pytest.approx(571.7, abs=0.1)


@pytest.mark.parametrize("process", [FIVE_NM, SEVEN_NM])
@pytest.mark.parametrize("bonding", [Bonding.ORGANIC, Bonding.INTERPOSER])
def test_one_chiplet_is_the_monolith_exactly(process: Process, bonding: Bonding) -> None:
    """One die against the same baseline costs exactly as much: factor 1.0 (negative control)."""
    assert packaging.cost_factor(600.0, 1, bonding, process, baseline=bonding) == 1.0


@pytest.mark.parametrize(
    ("process", "area", "bonding", "baseline", "expected"),
    [
        (FIVE_NM, 800.0, Bonding.ORGANIC, Bonding.ORGANIC, (-0.26, -0.43, -0.48)),
        (FIVE_NM, 800.0, Bonding.INTERPOSER, Bonding.ORGANIC, (-0.08, -0.20, -0.13)),
        (FIVE_NM, 800.0, Bonding.INTERPOSER, Bonding.INTERPOSER, (-0.21, -0.31, -0.25)),
        (FIVE_NM, 400.0, Bonding.INTERPOSER, Bonding.ORGANIC, (0.12, 0.09, 0.25)),
        (SEVEN_NM, 800.0, Bonding.ORGANIC, Bonding.ORGANIC, (-0.18, -0.32, -0.37)),
        (SEVEN_NM, 800.0, Bonding.INTERPOSER, Bonding.INTERPOSER, (-0.12, -0.19, -0.09)),
    ],
)
def test_against_an_independent_evaluation_of_the_same_equations(
    process: Process, area: float, bonding: Bonding, baseline: Bonding, expected: tuple[float, float, float]
) -> None:
    """2, 4, 8 chiplets at 800 and 400 mm2, as evaluated independently from Chiplet Actuary's equations (one point)."""
    found = [packaging.cost_factor(area, k, bonding, process, baseline=baseline) - 1 for k in (2, 4, 8)]

    assert found == pytest.approx(expected, abs=0.011)


def test_an_interposer_that_the_monolith_does_not_need_makes_a_small_processor_dearer() -> None:
    """400 mm2 at 7 nm: a loss at every count; the unfair baseline would hide it."""
    assert all(packaging.cost_factor(400.0, k, Bonding.INTERPOSER, SEVEN_NM, baseline=Bonding.ORGANIC) > 1.2 for k in (2, 4, 8))


def test_the_band_over_defects_and_bonding() -> None:
    """Four organic chiplets of 800 mm2: 21 % saved at 0.05 defects per cm2, 63 % at 0.2; bonding 0.99 lifts 2.5D to 32 %."""
    low, high = (
        1 - packaging.cost_factor(800.0, 4, Bonding.ORGANIC, replace(FIVE_NM, defects_per_mm2=d), baseline=Bonding.ORGANIC)
        for d in (0.05e-2, 0.2e-2)
    )
    bonded = packaging.cost_factor(800.0, 4, Bonding.INTERPOSER, replace(FIVE_NM, bond_yield=0.99), baseline=Bonding.ORGANIC)

    assert (low, high, 1 - bonded) == (
        pytest.approx(0.21, abs=0.01),
        pytest.approx(0.635, abs=0.01),
        pytest.approx(0.32, abs=0.01),
    )


def test_bumps_are_paid_on_every_die() -> None:
    """Doubling the price of a micro-bump raises an 8-die package by 8 dies' bumps over its bonding yield."""
    dear = replace(FIVE_NM, micro_bump_usd_per_mm2=2 * FIVE_NM.micro_bump_usd_per_mm2)
    rise = packaging.package_usd(800.0, 8, Bonding.INTERPOSER, dear) - packaging.package_usd(
        800.0, 8, Bonding.INTERPOSER, FIVE_NM
    )

    assert rise == pytest.approx(800 * 1.1 * 0.01 / (0.95**8 * 0.99))


def test_stacking_needs_less_substrate_than_side_by_side() -> None:
    """Two hybrid-bonded dies stand on one die's footprint: by hand, dies and bumps over 0.95 x 0.99 and half the substrate."""
    die = 800 / 2 * 1.1
    by_hand = (2 * packaging.known_good_die_usd(die, FIVE_NM) + die * 0.005) / 0.95 / 0.99 + die * 4 * 0.005 / 0.99

    assert packaging.package_usd(800.0, 2, Bonding.HYBRID, FIVE_NM) == pytest.approx(by_hand)


def test_memory_on_logic_by_hand() -> None:
    """Five stacks of 200 dollars on 800 mm2: all of it lost when one of five bonds fails; beside it six bonds, an interposer.

    At a bonding yield of 1 stacking is cheaper by the interposer and dearer bumps; at 0.95 each bond saved is 5 %.
    """
    die = packaging.known_good_die_usd(800.0, FIVE_NM)
    stacked = (die + 800 * 0.005 + 5 * 200) / (0.95**5 * 0.99) + 800 * 4 * 0.005 / 0.99
    found = [packaging.with_memory_usd(800.0, 5, 200.0, FIVE_NM, stacked=s) for s in (True, False)]

    assert found[0] == pytest.approx(stacked)
    interposer = packaging._good_interposer_usd(800.0, FIVE_NM)
    assert found[1] == pytest.approx((die + 8 + 1000 + interposer) / (0.95**6 * 0.99) + 16 / 0.99)
    assert found[0] < found[1]


def test_refusals() -> None:
    """No die, a die larger than the wafer, a negative density, memory of no stacks."""
    with pytest.raises(OutOfValidityError, match="at least one stack"):
        packaging.with_memory_usd(800.0, 0, 200.0, FIVE_NM, stacked=True)
    with pytest.raises(OutOfValidityError):
        packaging.package_usd(800.0, 0, Bonding.ORGANIC, FIVE_NM)
    with pytest.raises(OutOfValidityError):
        packaging.dies_per_wafer(60_000.0, scribe_mm=0.2, edge_mm=5.0)
    with pytest.raises(OutOfValidityError):
        packaging.die_yield(100.0, -1.0, 10.0, Yield.POISSON)
