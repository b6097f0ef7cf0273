"""The formulas and only the formulas: savings of single layers composed into a saving of the stack.

A saving Δ is a signed fraction (R_base - R_opt) / R_base, at most 1, never clipped. Floats in, a
float out; arrays in, an array out: layers on the first axis, components on the second where there
are any, draws on the last.

=================  =========================================  ==============================================
name               formula                                    valid when
=================  =========================================  ==============================================
``independent``    1 - Π(1 - Δ_i)                             every layer scales the same whole, no coupling
``weighted``       Σ w_i Δ_i, Σ w_i = 1                       layers act on disjoint shares
``by_component``   1 - Σ_c w_c Π_l (1 - Δ_lc)                 nests both of the above
``with_rest``      by component, idle the rest                a fleet that stays as large as it is
``pairwise``       ln(1-Δ) = Σ ln(1-Δ_i) + Σ β_ij             interactions of higher order vanish
``by_mechanism``   the product, each shared mechanism once    layers interact through named mechanisms alone
=================  =========================================  ==============================================
"""

from deltastack.composition.derived import with_rate, with_rest
from deltastack.composition.formulas import (
    additive,
    amounts_by_component,
    by_component,
    by_component_amounts,
    delta,
    gap,
    independent,
    weighted,
)
from deltastack.composition.gains import compound, delta_to_gain, gain_to_delta, modules_exact, modules_needed
from deltastack.composition.interactions import PAIR_IS_JOINT, interaction, pairwise
from deltastack.composition.mechanisms import by_mechanism, counted_again
from deltastack.composition.paper import PaperFigure, paper_table
from deltastack.composition.published import PublishedCase, PublishedGap, published_gap, read_published

__all__ = [
    "PAIR_IS_JOINT",
    "PaperFigure",
    "PublishedCase",
    "PublishedGap",
    "additive",
    "amounts_by_component",
    "by_component",
    "by_component_amounts",
    "by_mechanism",
    "compound",
    "counted_again",
    "delta",
    "delta_to_gain",
    "gain_to_delta",
    "gap",
    "independent",
    "interaction",
    "modules_exact",
    "modules_needed",
    "pairwise",
    "paper_table",
    "published_gap",
    "read_published",
    "weighted",
    "with_rate",
    "with_rest",
]
