"""What a flow run shows in Prefect's pages: the table of stages, and the headline with the waterfall."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows import summary
from tasks import outbox
from tasks.outcome import age

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tasks.outcome import Done

FORMULAS = ("independent", "weighted", "by_component", "pairwise")
BASES = {"fleet": "fleet, at capacity", "fleet_at_trace": "fleet, at its trace", "testbed": "testbed, a session"}
"""The bench and basis behind a name in metrics.json."""
MOST_LOST = -10.0
LARGEST_PICTURE_BYTES = 140_000
"""Base64 adds a third; Prefect's page is slow with artifacts over 200 kB."""


def show_stages(finished: list[Done], failed: Mapping[str, object]) -> None:
    """Publish the table ``stages``: how each came to be up to date, how long it took, how old its outputs are."""
    now = datetime.now(UTC)
    rows = [
        {
            "stage": d.stage,
            "outcome": d.outcome.value,
            "seconds": d.seconds,
            "computed": age(d, now),
            "outputs": ", ".join(f"{path} {digest[:8]}" for path, digest in d.outs),
        }
        for d in finished
    ]
    rows += [{"stage": n, "outcome": "failed", "seconds": "", "computed": "", "outputs": str(e)} for n, e in failed.items()]
    create_table_artifact(table=rows, key="stages", description="How each stage came to be up to date")


def show_results(root: Path) -> None:
    """Publish the Markdown page ``delta-headline``."""
    create_markdown_artifact(markdown=markdown(root), key="delta-headline", description="What the stack saves, and the gap")


def markdown(root: Path) -> str:
    """Verdict and evidence card, layers and targets, totals, the waterfalls as embedded pictures, and where the report lies."""
    parts = ["# deltastack", "", *summary.card(root), *_prose(summary.layers(root)), *_totals(root)]
    for picture in sorted((root / "reports").glob("**/waterfall*.png")):
        content = picture.read_bytes()
        if len(content) <= LARGEST_PICTURE_BYTES:
            words = picture.stem.replace("_", " ").replace("-", ", ")
            data = base64.b64encode(content).decode()
            parts += ["", f"**{words}**", "", f"![{words}](data:image/png;base64,{data})"]
    return "\n".join([*parts, "", "The whole report: `reports/report.html`", ""])


def _prose(lines: list[str]) -> list[str]:
    """Paragraphs, and a bullet for each indented line: a block of code would not wrap.

    >>> _prose(["  idle    loses 1 %", "  chiplet saves 1 %", "target b: reached"])
    ['', '- **idle** loses 1 %', '- **chiplet** saves 1 %', '', 'target b: reached']
    """
    found: list[str] = []
    for line in lines:
        indented = line.startswith(" ")
        if not (indented and found and found[-1].startswith("- ")):
            found.append("")
        name, _, rest = line.strip().partition(" ")
        found.append(f"- **{name}** {rest.strip()}" if indented else line)
    return found


def _totals(root: Path) -> list[str]:
    """The headline table: joint saving and the formulas' gaps, by bench and resource."""
    tree = outbox.read(root / outbox.METRICS)
    gaps = tree.get("gap", {})
    there = {name for resources in gaps.values() for found in resources.values() for name in found}
    formulas = [f for f in FORMULAS if f in there]
    head = ["bench", "resource", "joint saving", *(f"gap of {f.replace('_', ' ')} in points" for f in formulas)]
    rows = ["", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for bench, resources in tree.get("delta_total", {}).items():
        for resource, found in resources.items():
            gap = gaps.get(bench, {}).get(resource, {})
            cells = [_reading(found, "joint", _saving), *(_reading(gap, f, _points) for f in formulas)]
            rows.append(f"| {BASES.get(bench, bench)} | {resource} | {' | '.join(cells)} |")
    return rows if len(rows) > 3 else []  # noqa: PLR2004 - a blank line and the two lines of the head


def _reading(found: Mapping[str, float], name: str, say: Callable[[float], str]) -> str:
    """A number in the words of ``say``, with its interval if it has one."""
    if name not in found:
        return "not known"
    ends = (found.get(f"{name}.lo"), found.get(f"{name}.hi"))
    interval = f" [{say(ends[0])}, {say(ends[1])}]" if ends[0] is not None and ends[1] is not None else ""
    return f"{say(found[name])}{interval}"


def _saving(value: float) -> str:
    """A saving; where more than eleven times as much is used, a percentage says less than the factor.

    >>> _saving(0.125), _saving(-0.5), _saving(-1241.5), _saving(-1e-9)
    ('12.5 %', '-50.0 %', '1,242.5x used', '0.0 %')
    """
    return f"{1 - value:,.1f}x used" if value < MOST_LOST else f"{round(100 * value, 1) + 0:.1f} %"


def _points(value: float) -> str:
    """A gap in percentage points, signed.

    >>> _points(0.0808), _points(-0.02), _points(-1e-9), _points(492.289)
    ('+8.1', '-2.0', '0.0', '+49,228.9')
    """
    return f"{100 * value:+,.1f}" if round(100 * value, 1) else "0.0"
