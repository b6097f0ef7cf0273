"""A factorial of your own numbers: savings alone and together, formulas, gaps, interactions and verdicts."""

from deltastack.own_runs.analysis import analyse, runs_of
from deltastack.own_runs.experiment import Experiment, Observation
from deltastack.own_runs.result import CaseResult, FactorialResult, InteractionEstimate, SavingEstimate

__all__ = [
    "CaseResult",
    "Experiment",
    "FactorialResult",
    "InteractionEstimate",
    "Observation",
    "SavingEstimate",
    "analyse",
    "runs_of",
]
