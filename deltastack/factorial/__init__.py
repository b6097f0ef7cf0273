"""A factorial of your own numbers: savings alone and together, formulas, gaps, interactions and verdicts."""

from deltastack.factorial.analysis import analyse
from deltastack.factorial.experiment import Experiment, Observation
from deltastack.factorial.result import CaseResult, FactorialResult, InteractionEstimate, SavingEstimate

__all__ = [
    "CaseResult",
    "Experiment",
    "FactorialResult",
    "InteractionEstimate",
    "Observation",
    "SavingEstimate",
    "analyse",
]
