"""The evidence card: what is on, on which workload and machine, how it is known, and what may be quoted.

Made once from the results, kept in summary.json, and shown on the page, on the flow's page and on the tracked run alike.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from deltastack import formatting
from deltastack.analysis.factorial import NO_BASE
from deltastack.analysis.occasions import UNRECORDED
from deltastack.analysis.quality import Admissibility, admissibility, worst_reading
from deltastack.model import cell_name
from deltastack.statistics import holds_further, indicative, log_tolerance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deltastack.analysis.analysis import Analysis
    from deltastack.analysis.quality import QualityReading
    from deltastack.model import Bench, OperatingPoint, Resource

Row = tuple[str, list[str]]
"""A name, and one or more lines of text."""
BASELINE = (
    "what a competent team runs: bf16, continuous batching with chunked prefill, page cache warm, "
    "no encoder run for text-only requests"
)
DRAWN = "of the model's parameter ranges, and at capacity of the requests sampled (model uncertainty, not measurement error)"
NOT_CANONICAL = "QUICK RUN: NOT CANONICAL. These numbers may not be quoted; run without --quick."


def card(analysis: Analysis) -> list[Row]:
    """The rows of the card, in the order in which they are read."""
    stack, workload = analysis.stack, analysis.workload
    dropped = f" ({workload['dropped_rows']} bad rows left out)" if workload.get("dropped_rows") else ""
    found: list[Row] = [
        ("Layers", [", ".join(stack.layers).replace("_", " ")]),
        ("Techniques enabled", techniques(analysis)),
        ("Workload", [f"{workload.get('words')}{dropped}"]),
        ("Workload source", [str(workload.get("source"))]),
        ("Baseline", [BASELINE]),
        ("Machine", machines(analysis)),
        ("Evidence", evidence(analysis)),
        ("Intervals", intervals(analysis)),
        ("Noise floor", floors(analysis)),
        ("A formula holds if", holding(analysis)),
        ("Quality", [] if analysis.quality_limit is None else admissible(analysis)),
        ("Canonical", [_quoted(stack.effort, canonical=stack.canonical), *loudness(analysis)]),
    ]
    return [(name, lines) for name, lines in found if lines]


def _quoted(effort: str, *, canonical: bool) -> str:
    """Whether the numbers of an effort may be quoted."""
    return f"{'yes' if canonical else 'no'}: {effort} effort, whose numbers may {'' if canonical else 'not '}be quoted"


def holding(analysis: Analysis) -> list[str]:
    """What a formula has to do to hold, simulated and measured."""
    tolerance = analysis.stack.tolerance
    found = [f"the interval of its gap to the joint run lies inside ±{100 * tolerance:.1f} points"]
    if any(not b.facts.simulated for b in analysis.benches):
        limit = log_tolerance(tolerance)
        found.append(f"measured: the gap's interval in logs, over process starts and occasions, lies inside ±{limit:.3f}")
    return found


def loudness(analysis: Analysis) -> list[str]:
    """What forbids quoting a measured bench: too few process starts, or what else used the machine."""
    found = []
    for bench in (b for b in analysis.benches if not b.facts.simulated):
        at = analysis.measured_at.get(bench, UNRECORDED)
        starts = min((at.process_starts(a.factorial) for a in analysis.factorials if a.factorial.bench is bench), default=None)
        why = None if starts is None else indicative(starts, at.loud)
        found += [f"{bench}: no, indicative ({why})"] if why else []
    return found


OVER_BLOCKS = "or over pairs of blocks or process starts where these differ"


def techniques(analysis: Analysis) -> list[str]:
    """What each layer switches, one line a layer: the benches together where they switch the same."""
    found = []
    for layer, by_bench in analysis.enabled_techniques.items():
        named: dict[str, list[str]] = {}
        for bench, on in by_bench.items():
            named.setdefault(", ".join(on) or "nothing", []).append(str(bench))
        parts = "; ".join(f"{what} ({' and '.join(benches)})" for what, benches in named.items())
        found.append(f"{layer}: {parts}".replace("_", " "))
    return found


def machines(analysis: Analysis) -> list[str]:
    """Where each bench ran: the hosts of its samples, which are never pooled; a simulation runs the same everywhere."""
    found = []
    for bench in analysis.benches:
        where = " / ".join(host.replace(" | ", ", ") for host in analysis.hosts[bench])
        of = f" of {analysis.deployment_text}" if bench.facts.simulated and analysis.deployment_text else ""
        found.append(f"{bench}: {where}{of}")
    return found


def intervals(analysis: Analysis) -> list[str]:
    """What the ends of intervals are, one line a bench.

    The ends over draws are their range, which is no interval of confidence: how often it holds a further draw is said.
    """
    asked, found = analysis.stack.confidence, []
    for bench in analysis.benches:
        mine = [a.factorial for a in analysis.factorials if a.factorial.bench is bench]
        draws = next((f.amounts.shape[-1] for f in mine), 0)
        if not bench.facts.simulated:
            alone = any(f.one_start for f in mine)
            over = "of one process start: what a new start changes is not in them" if alone else OVER_BLOCKS
            found.append(f"{bench}: {100 * asked:.0f} %, jackknife over blocks of runs {over}")
        elif draws > 1:
            known = min(holds_further(draws), asked)
            found.append(f"{bench}: the range of {draws} draws {DRAWN}; it holds a further draw in {100 * known:.0f} % of cases")
    return found


def floors(analysis: Analysis) -> list[str]:
    """The A/A noise floor, one line a measured bench; a simulation has none."""
    found = []
    for bench in analysis.benches:
        mine = [a for a in analysis.factorials if a.factorial.bench is bench and not a.factorial.drawn]
        known = {
            formatting.resource(bench, a.factorial.resource): a.noise_floor.largest for a in mine if a.noise_floor is not None
        }
        told = ", ".join(f"{formatting.percent(most).lstrip('+')} of {name}" for name, most in known.items())
        if mine:
            says = f"two equal cells (A/A) seem to differ by up to {told}" if told else "two equal cells were not run"
            found.append(f"{bench}: {says}")
    return found


def admissible(analysis: Analysis) -> list[str]:
    """Whether the quality of the whole stack stays within the limit: one sentence a bench."""
    return [text for _, text in admissibilities(analysis)]


def admissibilities(analysis: Analysis) -> list[tuple[Admissibility, str]]:
    """The same, with what it amounts to."""
    limit = analysis.quality_limit
    if limit is None:
        return []
    found = []
    for bench in analysis.benches:
        layers = next((a.factorial.layers for a in analysis.factorials if a.factorial.bench is bench), ())
        reading = worst_reading(analysis.quality, bench, cell_name(layers), limit)
        word = admissibility(reading, limit)
        found.append((word, _admissible(bench, reading, limit, word)))
    return found


def _admissible(bench: Bench, reading: QualityReading | None, limit: float, word: Admissibility) -> str:
    change = reading.change if reading else None
    if reading is None or change is None:
        why = f" ({reading.reason})" if reading else ""
        return f"{bench}: the quality of the whole stack was not measured{why}."
    told = word.upper() if word is Admissibility.NOT_ADMISSIBLE else word
    known = ", ".join(filter(None, (reading.evidence, reading.reason)))
    return (
        f"{bench}: {reading.metric.replace('_', ' ')} of the whole stack changes by {formatting.points(change.value)} "
        f"{formatting.ends(change[1:3])} ({known}), limit {formatting.points(limit)}: {told}."
    )


def text_only_note(analysis: Analysis) -> str | None:
    """What a workload without images means for the encoder."""
    if analysis.workload.get("text_only_share") == 1:
        return (
            "No request of this trace carries an image: the encoder had nothing to do, "
            "so a layer that acts on the encoder can save nothing here but its idle resources."
        )
    return None


def evidence(analysis: Analysis) -> list[str]:
    """How the totals are known: one line a bench and class, then what could not be read or saved."""
    every = [a.factorial for a in analysis.factorials]
    known = {(f.bench, f.resource, f.operating_point): str(f.evidence) for f in every}
    known |= {
        (m.bench, m.resource, m.operating_point): "nothing to save" if m.reason == NO_BASE else "not read"
        for m in analysis.missing
    }
    by_place: dict[tuple[str, str, str], list[str]] = {}
    for (bench, resource, word), operating_points in _operating_points(known).items():
        by_place.setdefault((bench, operating_points, word), []).append(formatting.resource(bench, resource))
    return [
        f"{bench}, {operating_points}: {word} ({', '.join(names)})" for (bench, operating_points, word), names in by_place.items()
    ]


def _operating_points(known: Mapping[tuple[Bench, Resource, OperatingPoint], str]) -> dict[tuple[Bench, Resource, str], str]:
    """The bases, in words, on which a resource of a bench is known in the same way."""
    found: dict[tuple[Bench, Resource, str], list[str]] = {}
    for (bench, resource, operating_point), word in known.items():
        found.setdefault((bench, resource, word), []).append(str(operating_point).replace("_", " "))
    return {key: " and ".join(operating_points) for key, operating_points in found.items()}


def card_markdown(said: Mapping[str, Any]) -> list[str]:
    """The verdict sentences, then one bullet a row of the card, from summary.json.

    >>> card_markdown({"headline": ["a saves 5 %."], "canonical": True, "card": [["Layers", ["a"]], ["Machine", ["x", "y"]]]})
    ['**a saves 5 %.**', '', '- **Layers:** a', '- **Machine:** x; y']
    """
    warned = [] if said["canonical"] else [f"**{NOT_CANONICAL}**", ""]
    heads = [line for sentence in said["headline"] for line in (f"**{escaped(sentence)}**", "")]
    rows = [f"- **{name}:** {escaped('; '.join(line.rstrip('.') for line in lines))}" for name, lines in said["card"]]
    return [*warned, *heads, *rows]


def escaped(text: str) -> str:
    r"""Text as Markdown that shows it as it is: an interval with words in brackets behind it would become a link.

    >>> escaped("5 % [1 %, 9 %] (measured), a*b <c>")
    '5 % \\[1 %, 9 %\\] (measured), a\\*b \\<c>'
    """
    return re.sub(r"([\\`*\[\]<])", r"\\\1", text)
