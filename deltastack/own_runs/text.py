"""A factorial as plain text that fits 80 columns."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from deltastack.own_runs.result import CaseResult, FactorialResult, InteractionEstimate, SavingEstimate

WIDTH = 80
TWO = 2
"""Of two layers the pair is the joint run, so pairwise predicts nothing."""
_TITLES = {
    "independent": "independent (product)",
    "pairwise": "pairwise",
    "weighted": "weighted (sum)",
    "by_component": "by component",
    "by_mechanism": "by mechanism",
}
SHOWN = ("independent", "by_mechanism", "pairwise", "weighted")
"""by_component is the same as independent where amounts are not split."""
_LEGEND = "Saving: share of the resource that a unit of work takes; minus is more use. Gap: formula - joint, percentage points."


def text(result: FactorialResult) -> str:
    """One setting in full, or one line for each of several."""
    if len(result.cases) == 1:
        return "\n".join(_case(result.only))
    return "\n".join(_many(result))


def percent(value: float | None) -> str:
    """A saving in percent, signed.

    >>> percent(0.125), percent(None)
    ('+12.5 %', '-')
    """
    return "-" if value is None else f"{_rounded(100 * value):+.1f} %"


def ends(low: float | None, high: float | None, scale: float = 100, digits: int = 1) -> str:
    """An interval in percent or points; ``no interval`` where there is none.

    >>> ends(0.05, 0.15), ends(None, None)
    ('[+5.0, +15.0]', 'no interval')
    """
    if low is None or high is None:
        return "no interval"
    return f"[{_rounded(scale * low, digits):+.{digits}f}, {_rounded(scale * high, digits):+.{digits}f}]"


def points(gap: SavingEstimate) -> str:
    """A gap with its interval in points."""
    return "-" if gap.delta is None else f"{_rounded(100 * gap.delta):+.1f} {ends(gap.lo, gap.hi)}"


def conclusion(case: CaseResult) -> str:
    """What the factorial says, in one sentence or two."""
    gap, pair = case.gap["independent"], case.gap["pairwise"]
    if gap.delta is None:
        return f"The product cannot be held against the joint run ({gap.reason})."
    words = {"fails": "is wrong", "holds": "holds"}.get(case.verdict, "cannot be judged")
    side = "too much" if gap.delta > 0 else "too little"
    said = (
        f"The product of the single savings {words}: it promises {abs(100 * gap.delta):.1f} points {side} {ends(gap.lo, gap.hi)}."
    )
    shared = case.gap.get("by_mechanism")
    if shared is not None and shared.delta is not None:
        said += f" by mechanism is off by {points(shared)}: {case.verdicts['by_mechanism']}."
    if pair.delta is not None and len(case.layers) > TWO:
        said += f" pairwise is off by {points(pair)}: {case.verdicts['pairwise']}."
    return said


def _case(case: CaseResult) -> list[str]:
    head = f"{case.metric} ({'higher' if case.higher_is_better else 'lower'} is better): {case.setting_words}"
    rows = [(f"{name} alone", *_saving(e), "") for name, e in case.alone.items()]
    rows += [("all together", *_saving(case.joint), "")]
    rows += [(f"mechanism {name} alone", *_saving(m.alone), "") for name, m in case.mechanisms.items()]
    lines = [*textwrap.wrap(head, WIDTH), "", *table(("", "saving", "interval", ""), rows), ""]
    totals = [
        (_TITLES[f], percent(case.predicted[f].delta), points(case.gap[f]), _word(case, f)) for f in SHOWN if f in case.predicted
    ]
    lines += [*table(("formula", "saving", "gap, points", "verdict"), totals), ""]
    lines += [
        *table(("interaction (log)", "value", "interval", ""), [_interaction(k, v) for k, v in case.interactions.items()]),
        "",
    ]
    lines += [*table(("fair share", "saving", "interval", ""), [(n, *_saving(e), "") for n, e in case.shapley.items()]), ""]
    return [*lines, *wrapped([conclusion(case), *remarks(case), _LEGEND])]


def _many(result: FactorialResult) -> list[str]:
    first = result.cases[0]
    metrics = {c.metric for c in result.cases}
    head = f"{first.metric}, {len(result.cases)} settings" if len(metrics) == 1 else f"{len(result.cases)} cases"
    lines = [head, ""]
    names = {tuple(c.setting) for c in result.cases}
    shared = ", ".join(names.pop()) if len(names) == 1 else "setting"
    said_of = ", ".join if shared != "setting" else None
    rows = [
        (
            (said_of(c.setting.values()) if said_of else c.setting_words),
            percent(c.joint.delta),
            _short(c, "independent"),
            _short(c, "pairwise"),
        )
        for c in result.cases
    ]
    lines += [*table((shared, "joint", "gap of the product", "gap of pairwise"), rows), ""]
    wrong = [c for c in result.cases if abs(c.gap["independent"].delta or 0) > c.tolerance]
    failing = sum(c.verdict == "fails" for c in result.cases)
    said = (
        f"The product is off by more than {100 * first.tolerance:g} points in {len(wrong)} of {len(result.cases)} settings; "
        f"its interval says so in {failing}."
    )
    notes = dict.fromkeys(n for c in result.cases for n in remarks(c) if not n.startswith("Source: "))
    return [*lines, *wrapped([said, *notes, _LEGEND, "--json and --html give every number of every setting."])]


def _short(case: CaseResult, formula: str) -> str:
    gap = case.gap[formula]
    if formula == "pairwise" and len(case.layers) == TWO:
        return "is the joint run"
    if gap.lo is None:
        return "-" if gap.delta is None else f"{_rounded(100 * gap.delta):+.1f}"
    return f"{points(gap)} {_letter(case.verdicts[formula])}"


def _letter(verdict: str) -> str:
    return {"fails": "fails", "holds": "holds"}.get(verdict, "open")


def _word(case: CaseResult, formula: str) -> str:
    if formula == "pairwise" and len(case.layers) == TWO:
        return "is the joint run"
    return case.verdicts[formula]


def remarks(case: CaseResult) -> list[str]:
    """List what a reader must know: missing cells, confounded effects, missing intervals, notes."""
    found = []
    if case.missing_cells:
        found.append(f"Cells not run ({', '.join(case.layers)}): {' '.join(case.missing_cells)}.")
    found += [f"Confounded, cannot be told apart: {', '.join(g)}." for g in case.confounded]
    told = (*case.alone.values(), case.joint, *(g for f, g in case.gap.items() if f != "pairwise" or len(case.layers) > TWO))
    reasons = [e.reason for e in told if e.reason]
    found += [f"No interval or number: {r}." for r in dict.fromkeys(reasons)]
    if any(case.verdicts[f] == "undecided" and case.gap[f].lo is not None for f in case.verdicts):
        found.append("Undecided: the interval is too wide; repeat more often.")
    return [*found, *(f"{n[0].upper()}{n[1:]}." for n in case.notes if not n.startswith("by_component"))]


def _saving(e: SavingEstimate) -> tuple[str, str]:
    return percent(e.delta), ends(e.lo, e.hi) if e.delta is not None else "-"


def _interaction(name: str, e: InteractionEstimate) -> tuple[str, str, str, str]:
    if e.value is None:
        return name, "-", "-", ""
    side = "save less together" if e.value > 0 else "save more together"
    sure = e.lo is not None and e.hi is not None and (e.lo > 0 or e.hi < 0)
    return name, f"{_rounded(e.value, 3):+.3f}", ends(e.lo, e.hi, 1, 3), side if sure else ""


def table(head: Sequence[str], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Columns with two spaces between; a first field that would break the width stands on a line of its own."""
    body = [tuple(head), *rows]
    widths = [max(len(r[i]) for r in body) for i in range(len(head))]
    widths[0] = min(widths[0], max(8, WIDTH - sum(widths[1:]) - 2 * (len(head) - 1)))
    lines = []
    for first, *others in body:
        tail = "  ".join(
            x.rjust(w) if i < len(others) - 1 else x.ljust(w) for i, (x, w) in enumerate(zip(others, widths[1:], strict=True))
        )
        if len(first) > widths[0]:
            lines += textwrap.wrap(first, WIDTH)
            first = ""  # noqa: PLW2901 - its own lines hold it
        lines.append(f"{first:<{widths[0]}}  {tail}".rstrip())
    return lines


def wrapped(sentences: Iterable[str]) -> list[str]:
    """Sentences as lines of at most 80 columns, each sentence on lines of its own."""
    return [line for s in sentences for line in textwrap.wrap(s, WIDTH, subsequent_indent="  ", break_on_hyphens=False)]


def _rounded(value: float, digits: int = 1) -> float:
    return round(value, digits) + 0.0
