"""``deltastack tidy``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    from tasks.tidy import Kept

MIB = 2**20


def tidy(
    apply: Annotated[bool, typer.Option("--apply", help="Remove it; without this word the command only counts.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Count, or remove, what is older than the newest runs (`runs_kept` in params/stack.yaml) of everything a run leaves."""
    from deltastack import home
    from flows import retention
    from tasks import tidy as rule

    root = home.checkout(Path.cwd())
    found = retention.apply(root, output.say, dry=not apply)
    if as_json:
        output.emit_json({"applied": apply, "runs_kept": rule.most(root), "stores": [k._asdict() for k in found]})
        return
    _show(found, rule.most(root), applied=apply)


def _show(found: list[Kept], most: int, *, applied: bool) -> None:
    from rich.table import Table

    table = Table(
        "store", "entries", "old", "MiB", "MiB freed" if applied else "MiB of files to free", "", box=None, pad_edge=False
    )
    for kept in found:
        size, freed = f"{kept.byte / MIB:.1f}", f"{kept.freed / MIB:.1f}"
        table.add_row(kept.store, str(kept.entries), str(kept.dropped), size, freed, kept.note)
    output.console().print(table)
    old = sum(kept.dropped for kept in found)
    if applied:
        typer.echo(f"{old} old entries removed; the newest {most} runs stay")
    else:
        typer.echo(f"{old} old entries; the newest {most} runs stay. To remove them: deltastack tidy --apply")
