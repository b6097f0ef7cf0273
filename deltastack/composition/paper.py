"""The figures that the source paper prints for compounding, beside the recomputed ones.

Source: "How to Optimize Multimodal Large Language Models": abstract, table of section 3, examples
of sections 4.2 and 4.3.
"""

from __future__ import annotations

from typing import NamedTuple

from deltastack.composition.formulas import independent, weighted
from deltastack.composition.gains import compound, modules_exact, modules_needed

_MODULES = 12
"""The most modules that the paper's table compounds ("multi core")."""
_HALF_DIGIT = 5e-5
"""Printed to a hundredth of a percent: half a unit of the last place."""


class PaperFigure(NamedTuple):
    """One printed figure; both numbers are signed changes or savings, as fractions."""

    id: str
    claim: str
    printed: float
    recomputed: float
    why: str
    """Where the printed figure comes from, or what it would take."""

    @property
    def right(self) -> bool:
        """Whether the printed figure is the recomputed one, rounded."""
        return abs(self.printed - self.recomputed) <= _HALF_DIGIT


def paper_table() -> tuple[PaperFigure, ...]:
    """Each printed figure beside the recomputed one, in the order of the paper's table and examples."""
    return (*_table(), *_examples(), *_totals())


def _table() -> tuple[PaperFigure, ...]:
    cube, third = compound(0.01, 3), 1 / (1 + compound(0.01, 3)) - 1
    minus, nine, twelve = compound(-0.01, 3), compound(0.01, 9), compound(0.01, 12)
    wrong_minus = f"0.99^3 - 1 = {minus:+.2%}; {third:+.2%} is 1/1.0303 - 1, the reciprocal of +3.03 %"
    wrong_nine = f"1.01^9 - 1 = {nine:+.2%}; {compound(0.03, 3):+.2%} is 1.03^3 - 1: +3.03 % was rounded to 3 % and cubed again"
    return (
        PaperFigure("table-cube", "(1.01)^3 = +3.03 %", 0.0303, cube, "1.01^3 - 1, rounded"),
        PaperFigure("table-minus", "-1 % three times = -2.94 %", -0.0294, minus, wrong_minus),
        PaperFigure("table-single-core", "single core (1.01)^9 = +9.27 %", 0.0927, nine, wrong_nine),
        PaperFigure("table-multi-core", "multi core (1.01)^12 = +12.68 %", 0.1268, twelve, "1.01^12 - 1, rounded"),
    )


def _examples() -> tuple[PaperFigure, ...]:
    product, shares = independent([0.10, 0.15]), weighted([0.10, 0.15], [0.6, 0.4])
    right_product = "1 - 0.9 x 0.85; a product of what is left, not a geometric mean as the paper calls it"
    return (
        PaperFigure("example-joint", "10 % and 15 % compose to 23.5 %", 0.235, product, right_product),
        PaperFigure("example-weighted", "0.6 x 10 % + 0.4 x 15 % = 12 %", 0.12, shares, "a sum over disjoint shares"),
    )


def _totals() -> tuple[PaperFigure, ...]:
    gain, cost = compound(0.01, _MODULES), -compound(-0.01, _MODULES)
    return (
        PaperFigure(
            "one-percent-compounds:efficiency", "1 % a module compounds to +50 % efficiency", 0.5, gain, _short(0.5, 0.01)
        ),
        PaperFigure("one-percent-compounds:cost", "1 % a module compounds to -20 % cost", 0.2, cost, _short(-0.2, -0.01)),
    )


def _short(target: float, step: float) -> str:
    needed, exact = modules_needed(target, step), modules_exact(target, step)
    reached = compound(step, _MODULES)
    return f"{_MODULES} modules of {step:+.0%} give {reached:+.1%}; {target:+.0%} needs {needed} (ln ratio {exact:.2f})"
