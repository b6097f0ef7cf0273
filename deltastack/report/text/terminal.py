"""The last lines of ``make run`` and the same tables as Markdown, from summary.json.

One sign convention everywhere: a saving is above 0, a cost below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deltastack import formatting
from deltastack.analysis.targets import Reached
from deltastack.errors import EvidenceError
from deltastack.evaluation.delta_summary import far
from deltastack.model import Bench, Resource
from deltastack.outcomes import Resolution
from deltastack.report.text.evidence_card import NOT_CANONICAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SCHEMA = 4
"""Of summary.json. 3: ``profile``; 2: a target of the best set; 1: ``beside``, ``floor``, ``word``, ``late``, ``off``."""
Table = list[list[str]]


def summary_lines(said: Mapping[str, Any]) -> list[str]:
    """Totals, layers and targets as two aligned tables and a few lines.

    Raises:
        EvidenceError: A summary.json of another version.
    """
    checked(said)
    lines = [] if said["canonical"] else [NOT_CANONICAL]
    lines += aligned(totals(said))
    lines += [said["text_only"]] if said["text_only"] else []
    lines += aligned(layers(said))
    lines += targets(said)
    lines.append(f"workload: {said['workload']}")
    return lines


def checked(said: Mapping[str, Any]) -> None:
    """Refuse a summary.json of another version.

    Raises:
        EvidenceError: It is.
    """
    if said.get("schema") != SCHEMA:
        raise EvidenceError(f"summary.json has schema {said.get('schema', 1)}, wanted {SCHEMA}: dvc repro aggregate")


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """A table as lines of one width a column; the head is not indented, rows are."""
    shown = [row if n == 0 else [f"  {row[0]}", *row[1:]] for n, row in enumerate(table)]
    widths = [max(len(row[i]) for row in shown) for i in range(len(shown[0]))] if shown else []
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in shown]


def totals(said: Mapping[str, Any]) -> Table:
    """The head, then one row a bench and operating point: joint saving, product, gap, verdict, caveats."""
    head = ["all layers together (minus: costs)", "saving [95 %] (draws)", "product", "gap", "product rule", ""]
    return [head, *(_total(r) for r in said["totals"])]


def _total(r: Mapping[str, Any]) -> list[str]:
    what = f"{_place(r)} ({r['evidence']})"
    if r["delta"] is None:
        return [what, "no result", "", "", "", ""]
    start = "one process start" if r["one_start"] else ""
    floor = f"A/A noise ±{formatting.percent(r['noise_floor']).lstrip('+')}" if r["noise_floor"] is not None else ""
    unresolved = str(Resolution.NOT_RESOLVED) if r["resolution"] == Resolution.NOT_RESOLVED else ""
    kept, cut_off, _ = (r["caveat"] or "").partition("; p99")  # the report has the percentiles
    caveat = f"{kept})" if cut_off else kept
    notes = ", ".join(filter(None, (unresolved, caveat, r.get("indicative") or start or _log_gap(r), floor)))
    word = formatting.verdict(r["verdict"], r.get("held_in"), r["draws"])
    gap = formatting.points(r["gap"])
    gap = gap if r["gap_lo"] is None else f"{gap} {formatting.short_ends((r['gap_lo'], r['gap_hi']), r['draws'])}"
    return [what, saving(r), formatting.change(r["product"]), gap, word, notes]


def _log_gap(r: Mapping[str, Any]) -> str:
    """The interval that a measured verdict goes by; empty for a simulated one.

    >>> _log_gap({"occasions": {"log_gap_lo": -0.015, "log_gap_hi": 0.021, "by_occasions": True, "count": 3}})
    'gap in logs [-0.015, +0.021] of 3 occasions'
    """
    told = r.get("occasions")
    if not told:
        return ""
    of = f" of {told['count']} occasions" if told["by_occasions"] else ""
    return f"gap in logs [{told['log_gap_lo']:+.3f}, {told['log_gap_hi']:+.3f}]{of}"


def layers(said: Mapping[str, Any]) -> Table:
    """The head, then one row a layer, losses first: its saving alone, one column a bench and operating point."""
    rows = said["table"]
    places = list(dict.fromkeys(_place(r) for r in said["totals"]))
    by_layer: dict[str, dict[str, Mapping[str, Any]]] = {}
    for r in rows:
        by_layer.setdefault(r["layer"], {})[_place(r)] = r
    head = ["each layer alone (~: not resolved)", *places]
    return (
        [head, *([n.replace("_", " "), *(_reading(mine.get(p)) for p in places)] for n, mine in by_layer.items())] if rows else []
    )


def _place(r: Mapping[str, Any]) -> str:
    named = formatting.resource(Bench(r["bench"]), Resource(r["resource"]))
    return f"{r['bench']} {named} {r['operating_point'].replace('_', ' ')}"


def _reading(r: Mapping[str, Any] | None) -> str:
    """A cell of the layer table; ``~``: not resolved from zero."""
    if r is None:
        return "–"
    if r["disabled"]:
        return "disabled"
    if r["resolution"] == Resolution.NO_CHANGE:
        return "0"
    mark = " ~" if r["resolution"] == Resolution.NOT_RESOLVED else ""
    return f"{saving(r)}{mark}{' !' if r['caveat'] else ''}"


def saving(r: Mapping[str, Any]) -> str:
    """A saving with its interval in brackets or its range of draws in parentheses; many times the base: the factor."""
    if far(r["delta"]) or r["lo"] is None:
        return formatting.change(r["delta"])
    return f"{formatting.percent(r['delta'])} {formatting.short_ends((r['lo'], r['hi']), r['draws'])}"


def targets(said: Mapping[str, Any]) -> list[str]:
    """One line a target: every bench and resource with its verdict, and by how much."""
    names = dict.fromkeys(t["target"] for t in said["targets"])
    return [f"target {n}: " + ", ".join(_target(t) for t in said["targets"] if t["target"] == n) for n in names]


def _target(t: Mapping[str, Any]) -> str:
    named = formatting.resource(Bench(t["bench"]), Resource(t["resource"]))
    alone = f", {' + '.join(t['layers'])} alone {t['best']}" if t["best"] == Reached.REACHED != t["verdict"] else ""
    bad = t["best_unfit"] if alone else t["unfit"]
    but = f", but {' + '.join(t['layers']) if alone else 'all together'} {bad}" if bad else ""
    return f"{t['bench']} {named} {t['verdict']} ({formatting.points(t['margin'])}){alone}{but}"
