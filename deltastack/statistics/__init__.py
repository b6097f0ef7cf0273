"""Ratios with intervals, tests of a family, power, factorial effects, attribution and verdicts.

Raw replicates come in, numbers are computed on read. Work is in log ratios; ratios are never
averaged. One formula family a file; replicates on the first axis, simulations or draws on the last.
"""

from deltastack.statistics.aa_noise import resolution
from deltastack.statistics.estimate import Estimate
from deltastack.statistics.factorial import at_base, averaged, pair_table
from deltastack.statistics.formula_verdict import LEAST_STARTS, indicative, log_tolerance, verdict, verdict_of_draws
from deltastack.statistics.half_factorial import HALVED, half, half_effects, planned
from deltastack.statistics.interval import Bounds, Interval, mean_bounds, mean_interval
from deltastack.statistics.jackknife_interval import jackknife, jackknife_groups, pseudo_values
from deltastack.statistics.multiple_testing import holm
from deltastack.statistics.power import least_count, minimum_detectable_delta
from deltastack.statistics.prediction_interval import drawn_ends, holds_further, predictive
from deltastack.statistics.random_effects import Pooled, pool
from deltastack.statistics.ratio import log_ratio, log_ratio_bounds, log_ratio_unpaired
from deltastack.statistics.shapley_values import order_range, shapley
from deltastack.statistics.verdict_power import says_fails, says_holds

__all__ = [
    "HALVED",
    "LEAST_STARTS",
    "Bounds",
    "Estimate",
    "Interval",
    "Pooled",
    "at_base",
    "averaged",
    "drawn_ends",
    "half",
    "half_effects",
    "holds_further",
    "holm",
    "indicative",
    "jackknife",
    "jackknife_groups",
    "least_count",
    "log_ratio",
    "log_ratio_bounds",
    "log_ratio_unpaired",
    "log_tolerance",
    "mean_bounds",
    "mean_interval",
    "minimum_detectable_delta",
    "order_range",
    "pair_table",
    "planned",
    "pool",
    "predictive",
    "pseudo_values",
    "resolution",
    "says_fails",
    "says_holds",
    "shapley",
    "verdict",
    "verdict_of_draws",
]
