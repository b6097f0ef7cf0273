"""The words of a result: formulas, verdicts on them, and what a saving with its interval may be called."""

from __future__ import annotations

from enum import StrEnum


class Formula(StrEnum):
    """How a saving of several layers is formed: compositions of single savings, and the joint result itself."""

    INDEPENDENT = "independent"
    WEIGHTED = "weighted"
    BY_COMPONENT = "by_component"
    PAIRWISE = "pairwise"
    BY_MECHANISM = "by_mechanism"
    JOINT = "joint"


COMPOSED = tuple(f for f in Formula if f is not Formula.JOINT)
"""The formulas that are held against the joint result."""


class Verdict(StrEnum):
    """Whether a claim with a tolerance holds, given an interval."""

    HOLDS = "holds"
    FAILS = "fails"
    UNDECIDED = "undecided"
    INDICATIVE = "indicative"
    """Measured with too few starts or on a loud machine: nothing is called right or wrong."""


OBSERVED = "observed"
"""In the place of a verdict: the row of the joint result, which the formulas are held against."""


class Resolution(StrEnum):
    """What a saving with its interval and noise floor may be called."""

    SAVES = "saves"
    COSTS = "costs"
    NOT_RESOLVED = "not resolved"
    NO_CHANGE = "no change"
