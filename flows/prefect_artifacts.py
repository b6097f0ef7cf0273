"""What a flow run shows in Prefect's pages: the table of stages, and the headline with the waterfall."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows import summary, totals, tracking_page
from tasks import outbox
from tasks.stage_outcome import age

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tasks.stage_outcome import Done

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
    layers = summary.layers(root)
    head = ["", "## Each layer alone, losses first", ""] if layers else []
    parts = ["# deltastack", "", *summary.card(root), *head, *layers, *_totals(root)]
    for picture in sorted((root / "reports").glob("**/waterfall*.png")):
        content = picture.read_bytes()
        if len(content) <= LARGEST_PICTURE_BYTES:
            words = picture.stem.replace("_", " ").replace("-", ", ")
            data = base64.b64encode(content).decode()
            parts += ["", f"**{words}**", "", f"![{words}](data:image/png;base64,{data})"]
    page = tracking_page.address(root)
    parts += ["", f"[The run in MLflow]({page})"] if page is not None else []
    return "\n".join([*parts, "", f"[The whole report]({(root / 'reports/report.html').as_uri()}): `reports/report.html`", ""])


def _totals(root: Path) -> list[str]:
    """The table of totals as Markdown."""
    rows = totals.table(outbox.read(root / outbox.METRICS))
    return ["", *summary.markdown_table(rows)] if rows else []
