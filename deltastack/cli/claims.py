"""``deltastack claims``: the claims of others, held against formulas, our tables and quoted evidence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    from deltastack.claims import Finding

COLORS = {"confirmed": "green", "refuted": "red"}

app = typer.Typer(help="Hold the claims of others against what is known here.", no_args_is_help=True)


@app.command(epilog="Example: deltastack claims check")
def check(
    names: Annotated[list[str] | None, typer.Argument(help="Ids of claims (default: all).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Give every claim of params/claims.yaml and every published pair its verdict, with reason and command."""
    from tasks import claims
    from tasks.stage_runner import root_from

    found = _chosen(claims.check(root_from(Path.cwd())), names or [])
    if as_json:
        output.emit_json([f._asdict() for f in found])
    else:
        _show(found)


def _chosen(found: tuple[Finding, ...], names: list[str]) -> list[Finding]:
    """The claims called ``names``, or all.

    Raises:
        UnknownNameError: There is no such claim.
    """
    from deltastack.errors import UnknownNameError

    unknown = sorted(set(names) - {f.id for f in found})
    if unknown:
        raise UnknownNameError(f"no claim '{', '.join(unknown)}'; there are: {', '.join(f.id for f in found)}")
    return [f for f in found if not names or f.id in names]


def _show(found: list[Finding]) -> None:
    from collections import Counter

    from rich.padding import Padding
    from rich.text import Text

    console = output.console(highlight=False)
    for f in found:
        console.print(Text.assemble((f"{f.verdict:16}", COLORS.get(f.verdict, "yellow")), (f.id, "bold"), f"  {f.claim}"))
        console.print(Padding(Text(f.reason), (0, 0, 0, 16)))
    counts = Counter(str(f.verdict) for f in found)
    console.print(f"{len(found)} claims: " + ", ".join(f"{n} {v}" for v, n in counts.items()))
