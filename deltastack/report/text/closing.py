"""The last lines of a run: what to switch on, what the product promised, what came together, and each layer alone.

At most ``MOST_LINES`` lines of at most ``WIDTH`` columns, from reports/summary.json. Words and numbers are those of the page's
first screen. ``deltastack run --verbose`` prints the sentences behind them.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from deltastack import formatting
from deltastack.evaluation.delta_summary import far
from deltastack.model import Bench, OperatingPoint, Resource
from deltastack.outcomes import Verdict
from deltastack.report.text.terminal import aligned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH = 80
MOST_LINES = 12
"""Of a run's last 15 lines: one says what ran, one names report and numbers, one the page in MLflow."""
LOAD = {  # of a fleet that is simulated, and of a machine that is measured
    OperatingPoint.AT_CAPACITY: "full load",
    OperatingPoint.AT_TRACE: "today's load",
    OperatingPoint.PER_SESSION: "measured",
}
WORDS = {Verdict.HOLDS: "right", Verdict.FAILS: "wrong"}
SHORT = {"cannot tell yet": "cannot tell", "no switch here": "no switch", "off in this stack": "off"}
"""Shorter forms of the first screen's words."""
CHECK = "?"
"""Behind an advice that holds once answers or latency were looked at."""
NEXT = "next: deltastack solve --target energy=0.30, or --verbose for every sentence"


def closing_lines(said: Mapping[str, Any]) -> list[str]:
    """The lines of one summary.json that has the first screen (``screen``), and its scenes where there are several."""
    screen, shown = said["screen"], said["totals"][: len(said["screen"]["places"])]
    found = [] if said["canonical"] else ["a quick run: these numbers may not be quoted"]
    found += textwrap.wrap(screen["decision"], WIDTH)
    found += _totals(shown)
    scenes = [line for line in said.get("scenes", []) if line["joint"]["delta"] is not None]
    several = len({line["scene"] for line in scenes}) > 1
    found += list(map(_scene, scenes)) if several else _layers(screen, shown)
    if len(found) < MOST_LINES:
        return [*found, NEXT]
    left = len(found) - MOST_LINES + 1
    return found if left == 1 else [*found[: MOST_LINES - 1], f"... and {left} more lines: deltastack run --verbose"]


def _totals(shown: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the product promised, what came together with its range, and whether the product was right; a head first."""
    return (
        aligned([("all together (simulated)", "predicted", "together (minus: costs)", "the product is"), *map(_total, shown)])
        if shown
        else []
    )


def _total(r: Mapping[str, Any]) -> tuple[str, ...]:
    if r["delta"] is None:
        return (_place(r), "", "no result", "")
    ends = "" if r["lo"] is None or far(r["delta"]) else f" {formatting.short_ends((r['lo'], r['hi']), r['draws'])}"
    return (_place(r), formatting.change(r["product"]), f"{formatting.change(r['delta'])}{ends}", _word(r))


def _place(r: Mapping[str, Any]) -> str:
    named = formatting.resource(Bench(r["bench"]), Resource(r["resource"])).removesuffix(" per session")
    return f"{named}, {LOAD[OperatingPoint(r['operating_point'])]}"


def _word(r: Mapping[str, Any]) -> str:
    """Whether the product was right; on a model in how many draws.

    >>> _word({"verdict": "fails", "held_in": 0, "draws": 20}), _word({"verdict": "undecided", "held_in": None, "draws": None})
    ('wrong 0/20', 'cannot tell')
    """
    word = WORDS.get(Verdict(r["verdict"]), "cannot tell") if r["verdict"] else ""
    return word if r.get("held_in") is None else f"{word} {r['held_in']}/{r['draws']}"


def _layers(screen: Mapping[str, Any], shown: Sequence[Mapping[str, Any]]) -> list[str]:
    """The head, then each layer alone in the places above, with advice."""
    rows = [(row["layer"], *(_short(words) for words in row["cells"]), _advice(row["advice"])) for row in screen["rows"]]
    return (
        aligned([("each alone", *(LOAD[OperatingPoint(r["operating_point"])] for r in shown), "advice"), *rows]) if rows else []
    )


def _short(words: str) -> str:
    """A cell of the first screen in a few characters.

    >>> _short("takes 10.5 times as much"), _short("cannot tell yet"), _short("saves 2.0 %")
    ('10.5 x as much', 'cannot tell', 'saves 2.0 %')
    """
    told = words.replace("\N{NO-BREAK SPACE}", " ")
    if told.startswith("takes ") and told.endswith(" times as much"):
        return f"{told.split()[1]} x as much"
    return SHORT.get(told, told)


def _advice(words: str) -> str:
    """On, off or not known; a question mark where answers or latency are to be checked first.

    >>> _advice("on when the fleet is not full (costs on this machine); check latency"), _advice("off")
    ('on, not at full load ?', 'off')
    """
    what, *checks = words.split("; ")
    what = what.partition(" (")[0].replace(" when the fleet is not full", ", not at full load")
    return f"{SHORT.get(what, what)}{f' {CHECK}' if checks else ''}"


def _scene(line: Mapping[str, Any]) -> str:
    load = LOAD[OperatingPoint(line["operating_point"])]
    gap = "gap not known" if line["gap"] is None else f"gap {100 * line['gap']:+.1f} points"
    word = WORDS.get(Verdict(line["verdict"]), "cannot tell") if line["verdict"] else ""
    return f"{line['scene']}, {load:<13} energy {formatting.change(line['joint']['delta']):>7} together; product {word} ({gap})"
