"""The evidence card: what is on, on which workload and machine, how it is known, and what may be quoted.

Made once from the results, kept in summary.json, and shown on the page, on the flow's page and on the tracked run alike.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from deltastack.analysis.factorial import NO_BASE
from deltastack.analysis.noise_floor import largest
from deltastack.model import Bench
from deltastack.report.html import sections
from deltastack.report.text import formatting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deltastack.analysis.results import Results
    from deltastack.model import OperatingPoint, Resource

Row = tuple[str, list[str]]
"""A name, and one or more lines of text."""
BASELINE = (
    "what a competent team runs: bf16, continuous batching with chunked prefill, page cache warm, "
    "no encoder run for text-only requests"
)
DRAWN = "of the model's parameter ranges, and at capacity of the requests sampled (model uncertainty, not measurement error)"
NOT_CANONICAL = "QUICK RUN: NOT CANONICAL. These numbers may not be quoted; run without --quick."


def card(results: Results, quality_limit: float | None = None) -> list[Row]:
    """The rows of the card, in the order in which they are read; with a limit, what the stack does to the answers too."""
    stack, workload = results.stack, results.workload
    dropped = f" ({workload['dropped_rows']} bad rows left out)" if workload.get("dropped_rows") else ""
    found: list[Row] = [
        ("Layers on", [", ".join(stack.layers).replace("_", " ")]),
        ("Techniques on", techniques(results)),
        ("Workload", [f"{workload.get('words')}{dropped}"]),
        ("Workload source", [str(workload.get("source"))]),
        ("Baseline", [BASELINE]),
        ("Machine", machines(results)),
        ("Evidence", evidence(results)),
        ("Intervals", intervals(results)),
        ("Noise floor", floors(results)),
        ("A formula holds if", [f"the interval of its gap to the joint run lies inside ±{100 * stack.tolerance:.1f} points"]),
        ("Answers", [] if quality_limit is None else sections.admissible(results, quality_limit)),
        ("Canonical", [_quoted(stack.profile, canonical=stack.canonical)]),
    ]
    return [(name, lines) for name, lines in found if lines]


def _quoted(profile: str, *, canonical: bool) -> str:
    """Whether the numbers of a profile may be quoted."""
    return f"{'yes' if canonical else 'no'}: {profile} profile, whose numbers may {'' if canonical else 'not '}be quoted"


OVER_BLOCKS = "or over pairs of blocks or process starts where these differ"


def techniques(results: Results) -> list[str]:
    """What each layer switches, one line a layer: the benches together where they switch the same."""
    found = []
    for layer, by_bench in results.on.items():
        named: dict[str, list[str]] = {}
        for bench, on in by_bench.items():
            named.setdefault(", ".join(on) or "nothing", []).append(str(bench))
        parts = "; ".join(f"{what} ({' and '.join(benches)})" for what, benches in named.items())
        found.append(f"{layer}: {parts}".replace("_", " "))
    return found


def machines(results: Results) -> list[str]:
    """Where each bench ran: the hosts of its samples, which are never pooled; a simulation runs the same everywhere."""
    found = []
    for bench in results.benches():
        hosts = sorted(results.joint[bench]["host"].dropna().unique())
        where = " / ".join(host.replace(" | ", ", ") for host in hosts)
        found.append(f"{bench}: {where}{f' of {results.served}' if bench is Bench.FLEET and results.served else ''}")
    return found


def intervals(results: Results) -> list[str]:
    """What the ends of intervals are, one line a bench.

    The range of n draws holds a further one with probability (n - 1) / (n + 1): five draws have no ends of 95 %.
    """
    asked, found = results.stack.confidence, []
    for bench in results.benches():
        draws = next((f.amounts.shape[-1] for f in results.found if f.bench is bench), 0)
        if bench is Bench.TESTBED:
            alone = any(f.one_start for f in results.found if f.bench is bench)
            over = "of one process start: what a new start changes is not in them" if alone else OVER_BLOCKS
            found.append(f"testbed: {100 * asked:.0f} %, jackknife over blocks of runs {over}")
        elif draws > 1:
            holds = (draws - 1) / (draws + 1)
            few = f"; so few hold a further draw in about {100 * holds:.0f} % of cases, not {100 * asked:.0f} %"
            found.append(f"fleet: {draws} draws {DRAWN}{few if holds < asked else ''}")
    return found


def floors(results: Results) -> list[str]:
    """What two equal cells seem to differ by, one line a measured bench; a simulation has no noise and no line."""
    found = []
    for bench in results.benches():
        mine = [f for f in results.found if f.bench is bench and not f.drawn]
        known = {formatting.resource(bench, f.resource): largest(floor) for f in mine if (floor := results.floor(f)) is not None}
        told = ", ".join(f"{formatting.percent(most).lstrip('+')} of {name}" for name, most in known.items())
        if mine:
            says = f"two equal cells (A/A) seem to differ by up to {told}" if told else "no two equal cells were run"
            found.append(f"{bench}: {says}")
    return found


def evidence(results: Results) -> list[str]:
    """How the totals are known: one line a bench and class, then what nobody could read or save."""
    known = {(f.bench, f.resource, f.operating_point): str(f.evidence) for f in results.found}
    known |= {
        (a.bench, a.resource, a.operating_point): "nothing to save" if a.reason == NO_BASE else "not read" for a in results.absent
    }
    by_bases: dict[tuple[str, str, str], list[str]] = {}
    for (bench, resource, word), operating_points in _bases(known).items():
        by_bases.setdefault((bench, operating_points, word), []).append(formatting.resource(bench, resource))
    return [
        f"{bench}, {operating_points}: {word} ({', '.join(names)})" for (bench, operating_points, word), names in by_bases.items()
    ]


def _bases(known: Mapping[tuple[Bench, Resource, OperatingPoint], str]) -> dict[tuple[Bench, Resource, str], str]:
    """The bases, in words, on which a resource of a bench is known in the same way."""
    found: dict[tuple[Bench, Resource, str], list[str]] = {}
    for (bench, resource, operating_point), word in known.items():
        found.setdefault((bench, resource, word), []).append(str(operating_point).replace("_", " "))
    return {key: " and ".join(operating_points) for key, operating_points in found.items()}


def card_markdown(said: Mapping[str, Any]) -> list[str]:
    """The verdict sentences, then one bullet a row of the card, from summary.json.

    >>> card_markdown({"headline": ["a saves 5 %."], "canonical": True, "card": [["Layers on", ["a"]], ["Machine", ["x", "y"]]]})
    ['**a saves 5 %.**', '', '- **Layers on:** a', '- **Machine:** x; y']
    """
    warned = [] if said["canonical"] else [f"**{NOT_CANONICAL}**", ""]
    heads = [line for sentence in said["headline"] for line in (f"**{escaped(sentence)}**", "")]
    rows = said.get("card", ())  # absent in results that wait since an older version
    return [*warned, *heads, *(f"- **{name}:** {escaped('; '.join(line.rstrip('.') for line in lines))}" for name, lines in rows)]


def escaped(text: str) -> str:
    r"""Text as Markdown that shows it as it is: an interval with words in brackets behind it would become a link.

    >>> escaped("5 % [1 %, 9 %] (measured), a*b <c>")
    '5 % \\[1 %, 9 %\\] (measured), a\\*b \\<c>'
    """
    return re.sub(r"([\\`*\[\]<])", r"\\\1", text)
