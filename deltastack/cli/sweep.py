"""``deltastack sweep``: scenes on other platforms, in other precisions, at many rates."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltastack.cli import output, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltastack.contracts.lines import Lines
    from deltastack.evaluation.sweep import Sweep

RATES = ("0.5:64:8",)
Names = list[str] | None


def sweep(
    scene: Annotated[Names, typer.Option(help="A scene of params/scenes. Repeat (default: those of params/stack.yaml).")] = None,
    platform: Annotated[Names, typer.Option(help="A file of params/platforms. Repeat (default: all).")] = None,
    precision: Annotated[Names, typer.Option(help="bf16, fp8 or nvfp4. Repeat (default: all).")] = None,
    rate: Annotated[
        Names, typer.Option(help=f"Requests/s, or LOW:HIGH:COUNT in equal ratios. Repeat (default: {RATES[0]}).")
    ] = None,
    draws: Annotated[int, typer.Option(min=1, help="Sets of parameters, the first central.")] = 1,
    out: Annotated[Path, typer.Option(help="The Parquet table; OUT.rows.jsonl beside it keeps finished rows.")] = Path(
        "sweep.parquet"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="A summary as one JSON value on stdout.")] = False,
) -> None:
    """Simulate every combination and write one table; a call that was killed goes on where it was cut.

    Goals are those of the scene's own deployment. What cannot be is a row of nulls with its reason. DELTASTACK_DASK names a
    cluster to run on (docs/cluster.md).
    """
    from deltastack import home
    from deltastack.contracts import SWEEP
    from deltastack.evaluation import sweep as sweeps
    from deltastack.fleet import executor
    from deltastack.fleet.accelerator import platforms
    from deltastack.fleet.operators import SCHEMES
    from tasks import fleet

    root = home.home()
    stack = fleet.stack(root)
    where = executor.chosen(root, stack.executor)
    at = _scenes(root, scene or list(stack.scenes), draws)
    rates = [r for words in rate or RATES for r in _rates(words)]
    asked = sweeps.points(at, list(dict.fromkeys(platform or platforms(root))), _once(precision or list(SCHEMES)), rates)
    kept = _kept(root, out)
    with progress.counted("rows", len(asked)) as told:
        rows = sweeps.rows(at, asked, where, kept, told)
    table = SWEEP.frame(rows)
    SWEEP.write(table, out)
    found = _summary(out, table)
    if as_json:
        output.emit_json(found)
        return
    _show(found)


def _once(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _scenes(root: Path, names: Sequence[str], draws: int) -> Sweep:
    """The scenes with their requests.

    Raises:
        UnknownNameError: No such scene.
    """
    from deltastack.evaluation import sweep as sweeps
    from deltastack.fleet.trace_arrays import requests
    from deltastack.workload import settings
    from tasks import fleet

    scenes, chosen = [fleet.scene(root, name) for name in dict.fromkeys(names)], settings.load(root)
    return sweeps.prepared(root, scenes, [requests(s.workload.frame(root, chosen)) for s in scenes], draws)


def _rates(words: str) -> list[float]:
    """One rate, or several in equal ratios.

    >>> _rates("1:16:3")
    [1.0, 4.0, 16.0]

    Raises:
        ParamsError: Not a rate above zero, or not LOW:HIGH:COUNT.
    """
    import math

    from deltastack.errors import ParamsError

    wrong = ParamsError(f"--rate {words}: wanted requests/s above 0, or LOW:HIGH:COUNT such as 1:64:7")
    try:
        low, *rest = (float(part) for part in words.split(":"))
        high, count = rest or (low, 1.0)
    except ValueError:
        raise wrong from None
    if not (0 < low <= high < math.inf and count >= 1 and count == int(count) and (count > 1 or low == high)):
        raise wrong
    steps = int(count)
    return [round(low * (high / low) ** (i / max(steps - 1, 1)), 9) for i in range(steps)]


def _kept(root: Path, out: Path) -> Lines:
    """The finished rows of this table; of other code or params none counts.

    Raises:
        InputError: The folder is not there.
    """
    import hashlib

    from deltastack.contracts.lines import Lines
    from deltastack.errors import EvidenceError, InputError
    from deltastack.fleet import environment

    if not out.absolute().parent.is_dir():
        raise InputError(f"{out}: no folder {out.absolute().parent}; make it, or name another file")
    digest = hashlib.sha256(repr(sorted(environment.describe().items())).encode())
    for path in sorted(p for p in (root / "params").rglob("*") if p.is_file()):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    ledger = out.with_name(f"{out.name}.rows.jsonl")
    try:
        return Lines(ledger, digest.hexdigest()[:20])
    except EvidenceError:
        output.say(f"{ledger.name} is of other code or params: every row is simulated again")
        ledger.unlink()
        return Lines(ledger, digest.hexdigest()[:20])


def _summary(out: Path, table: Any) -> dict[str, Any]:
    """What ``--json`` prints: counts, reasons, and by scene the rows of the largest rate and of the least energy a request."""
    import hashlib

    from deltastack.evaluation.sweep import OVERLOADED

    good = table[table["energy_j"].notna() & (table["replicate"] == 0)]
    best = {}
    for scene, rows in good.groupby("scene", sort=False):
        fastest = rows.sort_values(["rate_per_s", "energy_j"], ascending=[False, True]).iloc[0]
        least = rows.sort_values("energy_j").iloc[0]
        best[str(scene)] = {"largest_rate": _plain(fastest), "least_energy": _plain(least)}
    missing = table.loc[table["energy_j"].isna(), "reason"].astype(str)
    reasons = Counter(OVERLOADED if words.startswith(OVERLOADED) else words for words in missing)
    return {
        "out": str(out),
        "sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
        "rows": len(table),
        "with_amounts": len(table) - sum(reasons.values()),
        "without": dict(reasons.most_common()),
        "best": best,
    }


def _plain(row: Any) -> dict[str, Any]:
    return {name: row[name] for name in ("platform", "precision")} | {
        name: float(row[name]) for name in ("rate_per_s", "met", "power_w", "energy_j")
    }


def _show(found: dict[str, Any]) -> None:
    typer.echo(f"{found['out']}: {found['rows']:,} rows, {found['with_amounts']:,} with amounts")
    for scene, best in found["best"].items():
        for words, row in ((k.replace("_", " "), v) for k, v in best.items()):
            typer.echo(
                f"{scene}: {words}: {row['rate_per_s']:g} requests/s on {row['platform']} in {row['precision']}, "
                f"{row['energy_j']:.4g} J a request"
            )
    for words, count in found["without"].items():
        typer.echo(f"{count:,} rows without amounts: {words}")
