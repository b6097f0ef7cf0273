"""Layer chiplet: what each technique rewrites, its control through the bench, what it is held against, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from deltastack.errors import OutOfValidityError
from deltastack.fleet.physics import packaging
from deltastack.fleet.physics.packaging import Bonding
from deltastack.layers import techniques
from deltastack.model import OperatingPoint, Resource
from tests.layers.stand import ROOT, SERVED, Stand, saved

STAND = Stand("chiplet", requests=300)
LAYER, BASE, used, technique = STAND.layer, STAND.base, STAND.used, STAND.technique
NAMES = ["packaging", "layer_placement", "memory_on_logic"]


def test_the_file_meets_the_layer() -> None:
    """params/layers/chiplet.yaml has every technique; on is what is sold today, and layer placement, a loss, is not."""
    found = techniques.chosen(ROOT, LAYER)

    assert [c.name for c in found] == NAMES
    assert [c.name for c in found if c.on] == ["packaging"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("draw", [0, 3])
def test_controls_change_nothing(name: str, draw: int) -> None:
    """One chiplet, one die and one micro-batch, no stack on the logic: |Δ| <= 1e-12 in every reading on both bases."""
    STAND.control_changes_nothing(name, draw)


def test_any_order_is_the_same_deployment() -> None:
    """Techniques together in any order, up to rounding of two amounts."""
    every = techniques.chosen(ROOT, LAYER, draw=1, draws=3)
    found = [techniques.apply_techniques(SERVED, order).packaging for order in permutations(every)]

    assert all(p.maker_usd == pytest.approx(found[0].maker_usd, rel=1e-12) for p in found)
    assert len({replace(p, maker_usd=0.0) for p in found}) == 1


def test_packaging_by_hand() -> None:
    """One die of 814 mm2 on an interposer costs 839 dollars, four dies 32 % less: of 109,720 dollars over five years 0.24 %.

    Half of all memory bytes cross dies at 0.25 pJ/bit: energy is a loss of some tenths of a percent.
    """
    process = technique("packaging").params.process(0.1)  # type: ignore[attr-defined]
    usd = [packaging.package_usd(814.0, n, Bonding.INTERPOSER, process) for n in (1, 4)]
    price_usd = 6.944e-4 * 1.58e8
    found = used([technique("packaging")])[OperatingPoint.AT_TRACE]

    assert saved(BASE[OperatingPoint.AT_TRACE], found, Resource.COST_USD) == pytest.approx(
        (usd[0] - usd[1]) / price_usd, rel=1e-3
    )
    assert usd[0] == pytest.approx(839, abs=1)
    assert saved(BASE[OperatingPoint.AT_TRACE], found, Resource.COST_USD) == pytest.approx(0.0024, abs=0.0001)
    assert -0.01 < saved(BASE[OperatingPoint.AT_TRACE], found, Resource.ENERGY_J) < 0
    assert found.total(Resource.TIME_S) == BASE[OperatingPoint.AT_TRACE].total(Resource.TIME_S)


@pytest.mark.parametrize(("bonding", "low", "high"), [(Bonding.ORGANIC, 0.26, 0.48), (Bonding.INTERPOSER, 0.08, 0.20)])
def test_packaging_against_chiplet_actuary(bonding: Bonding, low: float, high: float) -> None:
    """Feng & Ma, DAC 2022: 2 to 8 dies of 800 mm2 at 5 nm, organic monolith: organic saves 26-48 %, an interposer 8-20 %."""
    for chiplets in (2, 4, 8):
        one = technique("packaging", chiplets=chiplets, bonding=bonding, baseline=Bonding.ORGANIC)
        whole = packaging.package_usd(814.0, 1, Bonding.ORGANIC, one.params.process(0.1))  # type: ignore[attr-defined]
        found = -techniques.apply_techniques(SERVED, [one]).packaging.maker_usd / whole

        assert low - 0.02 <= found <= high + 0.02


def test_layer_placement_is_a_loss() -> None:
    """Weights are read once a micro-batch, so energy a request is lost at the trace and capacity falls."""
    found = used([technique("layer_placement")])
    at_capacity = found[OperatingPoint.AT_CAPACITY].total(Resource.TIME_S)

    assert saved(BASE[OperatingPoint.AT_TRACE], found[OperatingPoint.AT_TRACE], Resource.ENERGY_J) < -0.05
    assert at_capacity is None or at_capacity > BASE[OperatingPoint.AT_CAPACITY].total(Resource.TIME_S)  # type: ignore[operator]


def test_more_micro_batches_shrink_the_bubble_of_the_note() -> None:
    """The note says 1 - m / max(m, p): 75 % for one micro-batch on four dies, nothing for four."""
    words = [
        techniques.apply_techniques(SERVED, [technique("layer_placement", micro_batches=m)]).notes["layer_placement"]
        for m in (1, 4)
    ]

    assert "a bubble of 75%" in words[0]
    assert "a bubble of 0%" in words[1]


@pytest.mark.parametrize(("interface", "share"), [(0.5e-12, 0.13), (1.0e-12, 0.26), (1.5e-12, 0.38)])
def test_memory_on_logic_saves_the_interface(interface: float, share: float) -> None:
    """0.5, 1 and 1.5 of 3.9 pJ/bit are 13, 26 and 38 % of memory energy, which is 5 to 15 % of a request's here."""
    one = technique("memory_on_logic", interface_j_per_bit=interface)
    found = used([one])[OperatingPoint.AT_TRACE]

    assert 1 - techniques.apply_techniques(SERVED, [one]).packaging.dram_energy_factor == pytest.approx(share, abs=0.005)
    assert 0.05 * share < saved(BASE[OperatingPoint.AT_TRACE], found, Resource.ENERGY_J) < 0.15 * share


def test_memory_on_logic_by_hand() -> None:
    """The cost to make it moves by what stacking moves of logic with memory."""
    one = technique("memory_on_logic")
    process = one.params.process()  # type: ignore[attr-defined]
    on_top, beside = (packaging.with_memory_usd(814.0, 5, 250.0, process, stacked=s) for s in (True, False))

    assert techniques.apply_techniques(SERVED, [one]).packaging.maker_usd == pytest.approx(on_top - beside)
    assert on_top < beside


def test_refusals() -> None:
    """A platform that is two dies already, one without memory in stacks, an interface larger than its bit."""
    with pytest.raises(OutOfValidityError, match="sold as two"):
        techniques.apply_techniques(replace(SERVED, platform="b200_sxm"), [technique("packaging")])
    with pytest.raises(OutOfValidityError, match="no memory in stacks"):
        techniques.apply_techniques(replace(SERVED, platform="l40s"), [technique("memory_on_logic")])
    with pytest.raises(OutOfValidityError, match="part of the whole"):
        techniques.apply_techniques(SERVED, [technique("memory_on_logic", interface_j_per_bit=5e-12)])
    one = technique("layer_placement")
    with pytest.raises(OutOfValidityError, match="at least one die"):
        one.technique.rewrite(SERVED, one.params.model_copy(update={"dies": 0}))
