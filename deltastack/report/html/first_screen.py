"""The first screen: the decision, three cards, layer by resource with advice, and how far to trust it.

Savings are told in words, so that no sign has to be read: a layer saves, costs, or changes nothing that can be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deltastack import formatting, layers
from deltastack.analysis.occasions import UNRECORDED
from deltastack.evaluation.delta_summary import far
from deltastack.layers.measurement import Exactness
from deltastack.model import Bench, OperatingPoint
from deltastack.outcomes import Formula, Resolution, Verdict
from deltastack.report.metrics_json import MOST_CARDS
from deltastack.report.text.evidence_card import admissible
from deltastack.statistics import indicative

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis, FactorialAnalysis, LayerSaving
    from deltastack.statistics import Estimate

LOAD = {
    OperatingPoint.AT_CAPACITY: "at full load",
    OperatingPoint.AT_TRACE: "at today's load",
    OperatingPoint.PER_SESSION: "on this machine",
}
PILL = {
    Verdict.HOLDS: ("good", "✓ the spreadsheet is right"),
    Verdict.FAILS: ("bad", "✗ the spreadsheet is wrong"),
    Verdict.UNDECIDED: ("warn", "? cannot tell yet"),
    Verdict.INDICATIVE: ("warn", "? cannot tell yet: few starts, or a loud machine"),
}


class Card(NamedTuple):
    """One result of the whole stack."""

    title: str
    number: str
    ends: str
    spreadsheet: str
    tone: str
    pill: str
    caveat: str | None


class Cell(NamedTuple):
    """What one layer alone does in one place."""

    tone: str
    words: str
    note: str | None = None


class LayerRow(NamedTuple):
    """One layer: what it does in each place, and what to do with it."""

    layer: str
    cells: tuple[Cell, ...]
    tone: str
    advice: str


class FirstScreen(NamedTuple):
    """Everything above the folds."""

    decision: str
    cards: tuple[Card, ...]
    places: tuple[str, ...]
    rows: tuple[LayerRow, ...]
    trust: tuple[tuple[str, str], ...]


def first_screen(analysis: Analysis) -> FirstScreen:
    """The first screen of an analysis."""
    shown = analysis.headlines[:MOST_CARDS]
    rows = tuple(_row(shown, name) for name in analysis.stack.layers)
    return FirstScreen(
        decision=_decision(rows),
        cards=tuple(map(_card, shown)),
        places=tuple(_place(a) for a in shown),
        rows=tuple(sorted(rows, key=lambda r: ("bad", "warn", "good", "soft").index(r.tone))),
        trust=tuple(_trust(analysis)),
    )


def _place(a: FactorialAnalysis) -> str:
    f = a.factorial
    return f"{formatting.resource(f.bench, f.resource)}, {LOAD[f.operating_point]}"


def _decision(rows: tuple[LayerRow, ...]) -> str:
    """What to switch on, in one sentence."""
    on = [r.layer for r in rows if r.advice.startswith("on")]
    off = [r.layer for r in rows if r.advice == "off"]
    if not on:
        return "No layer of this stack is known to save anything here."
    some = "all" if len(on) == len(rows) else f"{len(on)} of {len(rows)}"
    leave = f"; leave {_listed(off)} off" if off else ""
    return f"Switch on {_listed(on)} ({some} layer{'s' * (len(rows) > 1)}){leave}."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _card(a: FactorialAnalysis) -> Card:
    f, product = a.factorial, a.totals[Formula.INDEPENDENT]
    resource, unit = formatting.resource(f.bench, f.resource), "request" if f.drawn else "session"
    title = f"{resource[0].upper()}{resource[1:]} per {unit}, {LOAD[f.operating_point]}, {'simulated' if f.drawn else 'measured'}"
    if a.joint is None:
        return Card(title, "no result", "", str(a.totals[Formula.JOINT].reason), "warn", PILL[Verdict.UNDECIDED][1], None)
    tone, pill = PILL[product.verdict or Verdict.UNDECIDED]
    if product.held_in is not None:
        pill = f"{pill[0]} the spreadsheet is right in {product.held_in} of {f.draws} draws"
    if len(f.layers) == 1:
        tone, pill = "soft", "one layer: nothing to multiply"
    said = saves(product.saving.value) if product.saving else "nothing"
    number = "cannot tell yet" if a.resolution is Resolution.NOT_RESOLVED else saves(a.joint.value)
    return Card(title, number, _ends(a.joint), f"the spreadsheet says: {said}", tone, pill, _plain(a.caveat))


def _plain(caveat: str | None) -> str | None:
    """A caveat without the percentiles, which stand below, and in words that need no glossary.

    >>> _plain("violates the SLO in 1 of 20 draws (85.5% of requests end within their goal, wanted 90%; p99 of TTFT 125 s)")
    'misses its latency goals in 1 of 20 draws (85.5% of requests end within their goal, wanted 90%)'
    """
    if caveat is None:
        return None
    kept, cut, _ = caveat.partition("; p99")
    return f"{kept}{')' * bool(cut)}".replace("violates the SLO", "misses its latency goals")


def saves(value: float) -> str:
    r"""A saving in words.

    >>> [saves(x).replace("\N{NO-BREAK SPACE}", " ") for x in (0.257, -0.028, 0.0001, -9.5)]
    ['saves 25.7 %', 'costs 2.8 %', 'no change', 'takes 10.5 times as much']
    """
    if far(value):
        return f"takes {1 - value:.1f} times as much"
    if abs(value) < 5e-4:  # noqa: PLR2004 - half of the last digit shown
        return "no change"
    return f"{'saves' if value > 0 else 'costs'} {100 * abs(value):.1f}\N{NO-BREAK SPACE}%"


def _ends(e: Estimate) -> str:
    if e.low is None or e.high is None:
        return "no interval: one sample"
    kind = f"range of {e.draws} draws" if e.draws else "95 % interval"
    return f"{kind}: {saves(e.low)} to {saves(e.high)}"


def _row(shown: tuple[FactorialAnalysis, ...], name: str) -> LayerRow:
    found = [next((x for x in a.layers if x.share.layer == name), None) for a in shown]
    tone, advice = _advice(name, shown, found)
    return LayerRow(name.replace("_", " "), tuple(map(_cell, found)), tone, advice)


def _cell(x: LayerSaving | None) -> Cell:
    if x is None:
        return Cell("soft", "no switch here")
    if x.disabled:
        return Cell("soft", "off")
    if x.resolution in {Resolution.NOT_RESOLVED, Resolution.NO_CHANGE}:
        return Cell("soft", "≈ 0" if x.resolution is Resolution.NO_CHANGE else "cannot tell yet", _plain(x.caveat))
    tone = "good" if x.resolution is Resolution.SAVES else "bad"
    return Cell(tone, saves(x.share.alone.value), _plain(x.caveat))


def _advice(name: str, shown: tuple[FactorialAnalysis, ...], found: list[LayerSaving | None]) -> tuple[str, str]:
    """What to do with a layer, from what it does where it is on; where it also costs, the advice says so."""
    known = [(a.factorial, x) for a, x in zip(shown, found, strict=True) if x is not None and not x.disabled]
    saving = [(f, x) for f, x in known if x.resolution is Resolution.SAVES]
    costing = [f for f, x in known if x.resolution is Resolution.COSTS]
    if saving:
        checks = ["check answers"] if _approximate(name) else []
        checks += ["check latency"] if any(x.caveat for _, x in saving) else []
        where = {f.operating_point for f, _ in saving if f.drawn}
        only = " when the fleet is not full" if where == {OperatingPoint.AT_TRACE} else ""
        only += f" (costs {LOAD[costing[0].operating_point]})" if costing else ""
        return ("warn" if checks or costing else "good"), "; ".join([f"on{only}", *checks])
    if costing:
        return "bad", "off"
    if not known:
        return "soft", "off in this stack"
    unresolved = any(x.resolution is Resolution.NOT_RESOLVED for _, x in known)
    return "soft", "cannot tell yet" if unresolved else "no effect here"


def _approximate(name: str) -> bool:
    """Whether a technique of the layer may change answers."""
    layer = layers.LAYERS.get(name)
    facts = [t.measurement for t in layer.techniques] if layer else []
    return any(m is not None and m.exactness is Exactness.APPROXIMATE for m in facts)


def _trust(analysis: Analysis) -> list[tuple[str, str]]:
    """How much is behind the numbers: draws, blocks and starts, the machine, answers, parameters that nobody measured."""
    found: list[tuple[str, str]] = []
    for bench in analysis.benches:
        mine = [a for a in analysis.factorials if a.factorial.bench is bench]
        if not mine:
            continue
        if bench.facts.simulated:
            count = mine[0].factorial.amounts.shape[-1]
            weak = sorted({str(a.factorial.evidence) for a in mine if a.headline})
            found.append(
                (f"{bench}, simulated", f"{count} draw{'s' * (count > 1)} of its parameters; weakest evidence: {', '.join(weak)}")
            )
        else:
            found.append((f"{bench}, measured", _measured(analysis, bench, mine)))
    quality = admissible(analysis)
    if quality:
        found.append(("answers", " ".join(quality)))
    if not analysis.stack.canonical:
        found.append(("effort", "quick: these numbers may not be quoted"))
    return found


def _measured(analysis: Analysis, bench: Bench, mine: list[FactorialAnalysis]) -> str:
    f = mine[0].factorial
    starts, at = f.process_starts, analysis.measured_at.get(bench, UNRECORDED)
    floor = next((a.noise_floor for a in mine if a.headline and a.noise_floor is not None), None)
    words = [f"{f.amounts.shape[-1]} blocks, {starts} process start{'s' * (starts != 1)} a cell"]
    if floor is not None:
        words.append(f"two equal cells differ by up to {100 * floor.largest:.1f} %")
    words.append("load of the machine not recorded" if at.loud is None else ", ".join(at.loud) or "quiet machine")
    why = indicative(starts, at.loud)
    return "; ".join([*words, *([f"indicative only ({why})"] if why else [])])
