"""``deltastack calibrate``: host overhead and power of an engine, fitted to rows that somebody measured."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - Typer reads the annotation when the command is made
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from deltastack.fleet.calibration import Calibration, Errors, Fold

QUANTITIES = {"tokens_per_s": "throughput", "power": "power", "energy_per_token": "energy a token"}


def calibrate(
    file: Annotated[
        Path | None, typer.Argument(help="CSV of measured rows (default: the shipped rows of ML.ENERGY v3).", show_default=False)
    ] = None,
    prompt_tokens: Annotated[
        int | None, typer.Option(help="Text tokens of a prompt where FILE has no prompt_tokens: 300.")
    ] = None,
    output_tokens: Annotated[float | None, typer.Option(help="Mean output where FILE has no mean_output_tokens: 500.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Put the constants into params/fleet.yaml.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Fit the simulator's host overhead and power to measured closed-loop rows, and say what they get wrong.

    FILE is a CSV file, one row a measured point; lines that begin with # are comments.

    Needed columns: model, concurrency (requests in flight; or max_num_seqs), output_tokens_per_s (or throughput).

    Also read: power_w (or avg_power_w, power: watts of all accelerators), platform (or gpu; h100_sxm), precision (bf16),
    tensor_parallel (1), num_gpus, prompt_tokens, image_tokens, mean_output_tokens (or output_tokens), output_tokens_p10 ...
    output_tokens_p99, avg_batch_size (rows below 0.9 of concurrency are not steady and left out). Others are ignored.

    The errors are mean absolute errors: of the rows that were fitted, and with each model left out of the fit once
    (each row, where there is one model only).
    """
    from deltastack.fleet import calibration

    path = calibration.SHIPPED if file is None else file
    found = calibration.read(
        path,
        prompt_tokens=calibration.PROMPT_TOKENS if prompt_tokens is None else prompt_tokens,
        output_tokens=calibration.OUTPUT_TOKENS if output_tokens is None else output_tokens,
    )
    result = calibration.calibrate(found.rows, _house())
    if as_json:
        output.emit_json(_answer(result, found.ignored))
    else:
        _show(path.name, result, found.ignored)
    if write:
        _write(path.name, result)


def _house() -> Any:
    """Memory, batching and accelerators as the checkout around us describes them."""
    from deltastack.fleet import accelerator, settings
    from deltastack.fleet.calibration import House

    root = _root()
    return House(
        values=settings.load(root).values, platforms={name: accelerator.load(root, name) for name in accelerator.platforms(root)}
    )


def _root() -> Path:
    from deltastack import home

    return home.home()


def _write(name: str, result: Calibration) -> None:
    """The constants into params/fleet.yaml, each with its range over the fits that left one group out."""
    from tasks import params_editor

    path = _root() / "params" / "fleet.yaml"
    every = [_constants(result), *map(_constants, result.folds)]
    keys = ("host_step_s", "host_sequence_s", *(["host_visual_token_s"] if _with_images(result) else []))
    hosts = {key: [float(c[key]) for c in every] for key in keys}
    params_editor.edit_ranges(path, "deployment", {key: _range(name, result, values) for key, values in hosts.items()})
    powers = [c["power"] for c in every if c["power"] is not None]
    if result.busy is not None:
        busy = {f"busy_{key}": [float(p[key]) for p in powers] for key in result.busy._fields}
        params_editor.edit_ranges(path, "power", {key: _range(name, result, values) for key, values in busy.items()})
    output.say(f"wrote the constants to {path.name}")


def _range(name: str, result: Calibration, values: Sequence[float]) -> dict[str, Any]:
    """The first of ``values``, and the least and the greatest."""
    value, low, high = (float(f"{x:.4g}") for x in (values[0], min(values), max(values)))
    source = f"fitted on {name}, {len(result.rows)} rows; range: each {result.group} left out once"
    return {"value": value, "low": low, "high": high, "source": source, "date": _today(), "evidence": "simulated"}


def _today() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).strftime("%Y-%m")


def _answer(result: Calibration, ignored: Sequence[str]) -> dict[str, Any]:
    """What ``--json`` prints: SI units and fractions."""
    return {
        **_constants(result),
        "rows": len(result.rows),
        "unsteady_rows": [row.line for row in result.unsteady],
        "ignored_columns": list(ignored),
        "left_out": result.group,
        "in_sample": _means(result.in_sample),
        "leave_one_out": _means(result.left_out),
        "image_rows": _of_images(result),
        "models": [
            {"model": model, "rows": len(errors), **_means(errors), "throughput_bias": _mean([e.tokens_per_s for e in errors])}
            for model, errors in _by_model(result).items()
        ],
        "folds": [_constants(fold) for fold in result.folds],
    }


def _constants(fitted: Calibration | Fold) -> dict[str, Any]:
    power = None if fitted.busy is None else fitted.busy._asdict()
    host = fitted.host
    return {
        "host_step_s": host.step_s,
        "host_sequence_s": host.sequence_s,
        "host_visual_token_s": host.visual_token_s,
        "power": power,
    }


def _with_images(result: Calibration) -> list[int]:
    """Places of the rows with images."""
    return [i for i, row in enumerate(result.rows) if row.image_tokens]


def _of_images(result: Calibration) -> dict[str, Any] | None:
    """The errors of the rows with images alone, fitted and left out; None where there are none."""
    places = _with_images(result)
    if not places:
        return None
    fitted, left = ([errors[i] for i in places] for errors in (result.in_sample, result.left_out))
    return {"rows": len(places), "in_sample": _means(fitted), "leave_one_out": _means(left)}


def _by_model(result: Calibration) -> dict[str, list[Errors]]:
    """Left-out errors of each model's rows."""
    found: dict[str, list[Errors]] = {}
    for row, errors in zip(result.rows, result.left_out, strict=True):
        found.setdefault(row.model, []).append(errors)
    return found


def _means(errors: Sequence[Errors]) -> dict[str, float | None]:
    """Mean absolute error of each quantity over the rows that have it."""
    return {
        word.replace(" a ", "_per_"): _mean([abs(x) for e in errors if (x := getattr(e, name)) is not None])
        for name, word in QUANTITIES.items()
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _show(name: str, result: Calibration, ignored: Sequence[str]) -> None:
    from rich.table import Table

    console = output.console(highlight=False, soft_wrap=True)
    host, busy = result.host, result.busy
    console.print(f"{name}: {len(result.rows)} rows fitted, {len(result.unsteady)} left out as not steady")
    fitted = "" if _with_images(result) else " (no row has images: as params/fleet.yaml has it)"
    console.print(
        f"host: {1e3 * host.step_s:.3f} ms a step + {1e6 * host.sequence_s:.1f} us a sequence and step"
        f" + {1e6 * host.visual_token_s:.1f} us a visual token{fitted}"
    )
    if busy is None:
        console.print("power: fewer than three rows have one")
    else:
        console.print(
            f"power: board limit x ({busy.base:.3f} + {busy.decode_attention:.3f} share of time in decode attention"
            f" + {busy.compute:.3f} share of peak compute), at most the limit"
        )
    table = Table(box=None, pad_edge=False)
    table.add_column("mean absolute error")
    for heading in ("rows", *QUANTITIES.values()):
        table.add_column(heading, justify="right")
    table.add_row("in sample", str(len(result.rows)), *_cells(result.in_sample))
    table.add_row(f"each {result.group} left out once", str(len(result.rows)), *_cells(result.left_out))
    _show_images(table, result)
    if result.group == "model":
        for model, errors in _by_model(result).items():
            table.add_row(f"  {model}", str(len(errors)), *_cells(errors))
    console.print(table)
    if result.group == "row":
        console.print("one model only: each row was left out instead, which says less about another model")
    if ignored:
        output.say(f"columns that were ignored: {', '.join(ignored)}")


def _show_images(table: Table, result: Calibration) -> None:
    """Lines for the rows with images alone, where there are any."""
    if places := _with_images(result):
        for words, known in (("in sample", result.in_sample), (f"each {result.group} left out once", result.left_out)):
            table.add_row(f"  images, {words}", str(len(places)), *_cells([known[i] for i in places]))


def _cells(errors: Sequence[Errors]) -> list[str]:
    return ["none" if mean is None else f"{100 * mean:.1f} %" for mean in _means(errors).values()]
