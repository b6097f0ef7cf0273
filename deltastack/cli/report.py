"""``deltastack report``: write the page again from the tables that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    open_page: Annotated[bool, typer.Option("--open", help="Show it in the browser of this desktop.")] = False,
) -> None:
    """Write reports/report.html and its figures from the tables in data/, and print where it is."""
    from tasks import results, write_report
    from tasks.stage_runner import root_from

    root = root_from(Path.cwd())
    path = write_report.write(root, results.load(root))
    typer.echo(str(path.relative_to(root)))
    if open_page:
        typer.launch(path.as_uri())
