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
    from collections.abc import Mapping
    from pathlib import Path

    from tasks.outcome import Done

FORMULAS = ("independent", "weighted", "by_component", "pairwise")
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
    """The headline table, the waterfall as an embedded picture if there is one, and where the whole report lies."""
    parts = ["# deltastack", "```", *summary.lines(root), "```", *_totals(root)]
    for picture in sorted((root / "reports").glob("**/waterfall*.png")):
        content = picture.read_bytes()
        if len(content) <= LARGEST_PICTURE_BYTES:
            parts += ["", f"![{picture.stem}](data:image/png;base64,{base64.b64encode(content).decode()})"]
    return "\n".join([*parts, "", "The whole report: `reports/report.html`", ""])


def _totals(root: Path) -> list[str]:
    """The headline table: joint saving and the formulas' gaps, by bench and resource."""
    tree = outbox.read(root / outbox.METRICS)
    gaps = tree.get("gap", {})
    there = {name for resources in gaps.values() for found in resources.values() for name in found}
    formulas = [f for f in FORMULAS if f in there]
    head = ["bench", "resource", "joint saving", *(f"gap of {f}" for f in formulas)]
    rows = ["", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for bench, resources in tree.get("delta_total", {}).items():
        for resource, found in resources.items():
            gap = gaps.get(bench, {}).get(resource, {})
            cells = [_percent(found, "joint"), *(_percent(gap, f) for f in formulas)]
            rows.append(f"| {bench} | {resource} | {' | '.join(cells)} |")
    return rows if len(rows) > 3 else []  # noqa: PLR2004 - a blank line and the two lines of the head


def _percent(found: Mapping[str, float], name: str) -> str:
    if name not in found:
        return "not known"
    ends = (found.get(f"{name}.lo"), found.get(f"{name}.hi"))
    interval = f" [{100 * ends[0]:.1f}, {100 * ends[1]:.1f}]" if ends[0] is not None and ends[1] is not None else ""
    return f"{100 * found[name]:.1f} %{interval}"
