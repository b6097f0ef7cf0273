"""Whether another run would print a measured verdict again: process starts, occasions, the machine, the power of each word."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from deltastack import formatting
from deltastack.analysis.occasions import LEAST_OCCASIONS, UNRECORDED, WRONG, of_left, saving_over_occasions
from deltastack.outcomes import Formula, Verdict
from deltastack.statistics import log_tolerance

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis, FactorialAnalysis
    from deltastack.analysis.occasions import Repeated


def facts(analysis: Analysis, a: FactorialAnalysis) -> dict[str, Any]:
    """Of a measured factorial, plain values for summary.json; empty for a simulated one."""
    f = a.factorial
    if f.drawn:
        return {}
    at, product = analysis.measured_at.get(f.bench, UNRECORDED), a.totals[Formula.INDEPENDENT]
    return {
        "starts": at.process_starts(f),
        "loud": None if at.loud is None else list(at.loud),
        "canonical": f.canonical,
        "indicative": product.reason if product.verdict is Verdict.INDICATIVE else None,
        "occasions": _repeated(product.repeated),
        "joint_over_occasions": _joint(a),
    }


def _repeated(r: Repeated | None) -> dict[str, Any] | None:
    """The gap of the product in logs; ``next`` is where another occasion would fall."""
    if r is None:
        return None
    p = r.pooled
    return {
        "count": r.occasions,
        "by_occasions": r.by_occasions,
        "log_gap": r.here.value,
        "log_gap_lo": r.low,
        "log_gap_hi": r.high,
        "between_sd": None if p is None else p.between_sd,
        "pooled": None if p is None else p.mean,
        "next": None if p is None else [p.next_low, p.next_high],
        "says_holds": r.says_holds,
        "says_fails": r.says_fails,
    }


def _joint(a: FactorialAnalysis) -> dict[str, float | None] | None:
    """The joint saving over all quiet occasions."""
    r = a.totals[Formula.JOINT].repeated
    e = None if r is None else saving_over_occasions(r)
    return None if e is None else {"delta": e.value, "lo": e.low, "hi": e.high}


def method(analysis: Analysis) -> list[str]:
    """How the verdict on the product would fare in another run: a few sentences a measured headline."""
    return [said for a in analysis.headlines if not a.factorial.drawn for said in _sentences(analysis, a)]


def _sentences(analysis: Analysis, a: FactorialAnalysis) -> list[str]:
    f, product = a.factorial, a.totals[Formula.INDEPENDENT]
    r = product.repeated
    if r is None:
        return []
    at = analysis.measured_at.get(f.bench, UNRECORDED)
    machine = "not recorded" if at.loud is None else ", ".join(at.loud) or "quiet"
    where = f"{f.bench}, {formatting.resource(f.bench, f.resource)}"
    limit = log_tolerance(analysis.stack.tolerance)
    first = (
        f"{where}: {at.process_starts(f)} process starts, machine {machine}, {r.occasions} of {LEAST_OCCASIONS} quiet occasions. "
        f"Gap of the product in logs {_log(r.here.value)} [{_log(r.low)}, {_log(r.high)}], tolerance ±{limit:.3f}."
    )
    said = [first]
    if r.pooled is not None:
        p = r.pooled
        said.append(
            f"{where}: over {p.occasions} occasions {_log(p.mean)} [{_log(p.low)}, {_log(p.high)}]; occasions differ by "
            f"{p.between_sd:.3f} (standard deviation); another run would fall in [{_log(p.next_low)}, {_log(p.next_high)}]."
        )
    together = a.totals[Formula.JOINT].repeated
    over = None if together is None else saving_over_occasions(together)
    if together is not None and together.pooled is not None and over is not None:
        further = (of_left(together.pooled.next_high), of_left(together.pooled.next_low))
        said.append(
            f"{where}: all layers together save {formatting.interval(over)} over {together.occasions} occasions; another run "
            f"would fall in {formatting.ends(further)}."
        )
    if r.says_holds is not None and r.says_fails is not None:
        said.append(
            f"{where}: power. Were the product right, so many runs would say so: {_share(r.says_holds)}. Were it wrong by "
            f"{WRONG:g} in logs ({100 * math.expm1(WRONG):.0f} % of what is left): {_share(r.says_fails)}."
        )
    return said


def _log(x: float) -> str:
    return f"{x:+.3f}"


def _share(x: float) -> str:
    return f"{100 * x:.0f} %"
