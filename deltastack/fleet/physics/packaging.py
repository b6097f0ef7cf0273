"""What a processor costs whole and in pieces: yield, known good dies, packages.

    Y = (1 + D0 A / c)^-c   negative binomial | e^(-A D0) Poisson | ((1 - e^(-A D0)) / (A D0))^2 Murphy | 1 / (1 + A D0) Seeds
    dies a wafer = pi (R - e)^2 / A' - pi 2 (R - e) / sqrt(2 A')     A' = A + 2 s sqrt(A) + s^2
    known good die = wafer price / (dies a wafer x Y)

    organic (multi-chip module)  C = (sum KGD + bumps + f substrate) / y_os^k
    interposer (2.5D)            C = (sum KGD + bumps) / (y_b^k y_os) + interposer / (y_i y_b^k y_os) + substrate / y_os
    hybrid bonding (3D)          C = (sum KGD) / (y_b^(k-1) y_os) + substrate / y_os

memory beside logic, on the interposer      C = (KGD + bumps + interposer / y_i + n stack) / (y_b^(1+n) y_os) + substrate / y_os
memory on logic, stacked                    C = (KGD + bumps + n stack) / (y_b^n y_os) + substrate / y_os

with n memory stacks at the price ``stack``,
k dies, y_os the yield of bonding on the substrate, y_b of one die on the interposer, y_i of the interposer, and
f the further routing layers of a substrate that carries several dies (1 for one die).

Source: the equations of Chiplet Actuary (Feng & Ma, DAC 2022, arXiv 2203.12268), derived again from its paper; bump cost
is counted on every die (the published program counts it once). Yield models: Stapper (1973), Murphy (1964), Seeds (1967).
Assumes: what the parts cost the maker, of logic only; no margin, so that none of it is the price of an accelerator. HBM (but
for the last two), test and margin are not in it, so Δ of an accelerator is smaller. A stack that fails to bond takes the logic
and its fellows with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from deltastack.errors import OutOfValidityError

WAFER_RADIUS_MM = 150.0


class Yield(StrEnum):
    """How defects cluster."""

    NEGATIVE_BINOMIAL = "negative_binomial"
    POISSON = "poisson"
    MURPHY = "murphy"
    SEEDS = "seeds"


class Bonding(StrEnum):
    """How dies come together: an interposer is 2.5D, hybrid bonding is 3D."""

    ORGANIC = "organic"
    INTERPOSER = "interposer"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A logic process and the package's own costs; defaults of a 5 nm class process (Chiplet Actuary parameter file)."""

    defects_per_mm2: float = 0.11e-2
    cluster: float = 10.0
    wafer_usd: float = 16988.0
    scribe_mm: float = 0.2
    edge_mm: float = 5.0
    bond_yield: float = 0.95
    """One die on an interposer, or one die on another."""
    substrate_bond_yield: float = 0.99
    substrate_usd_per_mm2: float = 0.005
    substrate_area_factor: float = 4.0
    multi_die_substrate_factor: float = 2.0
    """Price of a substrate that links several dies over one that carries a single die."""
    bump_usd_per_mm2: float = 0.005
    micro_bump_usd_per_mm2: float = 0.01
    interposer_defects_per_mm2: float = 0.06e-2
    interposer_cluster: float = 6.0
    interposer_wafer_usd: float = 1937.0
    interposer_area_factor: float = 1.1
    link_area_share: float = 0.1
    """Area of a die-to-die interface, of each die, where there is more than one."""
    model: Yield = Yield.NEGATIVE_BINOMIAL


def die_yield(area_mm2: float, defects_per_mm2: float, cluster: float, model: Yield) -> float:
    """Share of good dies.

    Raises:
        OutOfValidityError: An area, density or cluster that is negative or zero.
    """
    if area_mm2 <= 0 or defects_per_mm2 < 0 or cluster <= 0:
        raise OutOfValidityError(
            f"area {area_mm2} mm2, density {defects_per_mm2} /mm2, cluster {cluster}: positive ones are wanted"
        )
    faults = area_mm2 * defects_per_mm2
    if faults == 0:
        return 1.0
    share: float = {
        Yield.NEGATIVE_BINOMIAL: (1 + faults / cluster) ** -cluster,
        Yield.POISSON: math.exp(-faults),
        Yield.MURPHY: ((1 - math.exp(-faults)) / faults) ** 2,
        Yield.SEEDS: 1 / (1 + faults),
    }[model]
    return share


def dies_per_wafer(area_mm2: float, *, scribe_mm: float, edge_mm: float) -> float:
    """Whole dies on a 300 mm wafer.

    Raises:
        OutOfValidityError: The die does not fit.
    """
    side = math.sqrt(area_mm2) + scribe_mm
    radius = WAFER_RADIUS_MM - edge_mm
    count = math.pi * radius**2 / side**2 - math.pi * 2 * radius / math.sqrt(2 * side**2)
    if count < 1:
        raise OutOfValidityError(f"a die of {area_mm2:.0f} mm2 does not fit on a wafer")
    return count


def known_good_die_usd(area_mm2: float, process: Process) -> float:
    """Price of one die that works.

    Raises:
        OutOfValidityError: The die does not fit, or its yield is undefined.
    """
    count = dies_per_wafer(area_mm2, scribe_mm=process.scribe_mm, edge_mm=process.edge_mm)
    return process.wafer_usd / count / die_yield(area_mm2, process.defects_per_mm2, process.cluster, process.model)


def package_usd(logic_mm2: float, chiplets: int, bonding: Bonding, process: Process) -> float:
    """Price of ``logic_mm2`` of logic in ``chiplets`` equal dies, packaged.

    One die on an organic substrate is the monolith; one die on an interposer is a monolith that needs it for its HBM.

    Raises:
        OutOfValidityError: Fewer than one chiplet, or a die that does not fit.
    """
    if chiplets < 1:
        raise OutOfValidityError(f"a processor has at least one die, found {chiplets}")
    overhead = process.link_area_share if chiplets > 1 else 0.0
    die_mm2 = logic_mm2 / chiplets * (1 + overhead)
    dies = chiplets * known_good_die_usd(die_mm2, process)
    area = chiplets * die_mm2
    footprint = die_mm2 if bonding is Bonding.HYBRID else area
    substrate = footprint * process.substrate_area_factor * process.substrate_usd_per_mm2
    if bonding is Bonding.ORGANIC:
        routed = substrate * (process.multi_die_substrate_factor if chiplets > 1 else 1.0)
        return (dies + area * process.bump_usd_per_mm2 + routed) / process.substrate_bond_yield**chiplets
    if bonding is Bonding.HYBRID:
        stacked = process.bond_yield ** (chiplets - 1)
        return (
            dies + die_mm2 * process.bump_usd_per_mm2
        ) / stacked / process.substrate_bond_yield + substrate / process.substrate_bond_yield
    return _on_interposer(dies, area, chiplets, substrate, process)


def cost_factor(logic_mm2: float, chiplets: int, bonding: Bonding, process: Process, *, baseline: Bonding) -> float:
    """Price in ``chiplets`` dies over the price of the monolith on ``baseline``: 1.0 exactly for the monolith itself.

    Raises:
        OutOfValidityError: As ``package_usd``.
    """
    return package_usd(logic_mm2, chiplets, bonding, process) / package_usd(logic_mm2, 1, baseline, process)


def with_memory_usd(logic_mm2: float, stacks: int, stack_usd: float, process: Process, *, stacked: bool) -> float:
    """Price of one die of logic with its ``stacks`` of memory: on top of it, or beside it on an interposer.

    Raises:
        OutOfValidityError: No stack, a negative price, or a die that does not fit.
    """
    if stacks < 1 or stack_usd < 0:
        raise OutOfValidityError(f"memory is at least one stack at a price, found {stacks} at {stack_usd} USD")
    substrate = logic_mm2 * process.substrate_area_factor * process.substrate_usd_per_mm2 / process.substrate_bond_yield
    die = known_good_die_usd(logic_mm2, process)
    if stacked:
        parts = die + logic_mm2 * process.bump_usd_per_mm2 + stacks * stack_usd
        return parts / (process.bond_yield**stacks * process.substrate_bond_yield) + substrate
    parts = die + logic_mm2 * process.micro_bump_usd_per_mm2 + stacks * stack_usd + _good_interposer_usd(logic_mm2, process)
    return parts / (process.bond_yield ** (1 + stacks) * process.substrate_bond_yield) + substrate


def _good_interposer_usd(area_mm2: float, process: Process) -> float:
    interposer_mm2 = area_mm2 * process.interposer_area_factor
    count = dies_per_wafer(interposer_mm2, scribe_mm=process.scribe_mm, edge_mm=process.edge_mm)
    good = die_yield(interposer_mm2, process.interposer_defects_per_mm2, process.interposer_cluster, process.model)
    return (process.interposer_wafer_usd / count + interposer_mm2 * process.bump_usd_per_mm2) / good


def _on_interposer(dies_usd: float, area_mm2: float, chiplets: int, substrate_usd: float, process: Process) -> float:
    bonded = process.bond_yield**chiplets * process.substrate_bond_yield
    dies = dies_usd + area_mm2 * process.micro_bump_usd_per_mm2
    return (dies + _good_interposer_usd(area_mm2, process)) / bonded + substrate_usd / process.substrate_bond_yield
