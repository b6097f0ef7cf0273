"""``deltastack accelerator``: the layers measured on a GPU, as a bundle to replay elsewhere."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    from deltastack.accelerator.bench import Measured

_SHORT, _LONG, _LONG_FROM_S = 64, 128, 640
"""Tokens that a request answers: with 64, an H100 runs every cell in three process starts within 8 minutes."""
_RESERVE_S = 12.0
"""Of the time limit, for reading the runs and writing the bundle."""


def accelerator(
    out: Annotated[Path, typer.Option(help="The bundle to write.")] = Path("accelerator.zip"),
    device: Annotated[str, typer.Option(help="cuda, or cpu at small size.")] = "cuda",
    shape: Annotated[str | None, typer.Option(help="A model's sizes (default: qwen3_vl_8b on cuda, tiny on cpu).")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Time limit; one pair of blocks is run however small it is.")] = 480,
    output_tokens: Annotated[
        int | None, typer.Option(min=1, help="Of each request (default: 64; 128 from 640 s of time on; 8 on cpu).")
    ] = None,
    blocks: Annotated[int, typer.Option(min=1, help="Of all cells in each process start, at most.")] = 4,
    starts: Annotated[int, typer.Option(min=1, help="Process starts; with fewer than 3 a verdict is only indicative.")] = 3,
    folder: Annotated[Path, typer.Option(help="Where runs are written down, so that a cut measurement goes on.")] = Path(
        ".run/accelerator"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value on stdout.")] = False,
) -> None:
    """Measure every set of layers and every technique alone on a GPU, with joules, and write a bundle for `replay`."""
    from deltastack import recording
    from deltastack.accelerator import bench, switches, tables
    from deltastack.accelerator.settings import Load

    cuda = device == "cuda"
    small = {"requests": 8, "image_tokens": 16, "text_tokens": 16}
    answer = output_tokens or (8 if not cuda else _LONG if seconds >= _LONG_FROM_S else _SHORT)
    load = Load(output_tokens=answer, **({} if cuda else small))
    began_s = time.perf_counter()
    size = shape or ("qwen3_vl_8b" if cuda else "tiny")
    setup = bench.Setup(shape=size, device=device, load=load, cells=bench.cells(), starts=starts)
    reserve_s = min(_RESERVE_S, seconds / 2)
    budget_s = max(seconds - reserve_s - (time.perf_counter() - began_s), 0.1)
    found = bench.measure(setup, folder, output.say, budget_s=budget_s, block_pairs=blocks)
    canonical = cuda and not bench.throttled(found.entries)
    written = recording.write(out, tables.head(found, setup, switches.LAYERS), tables.parts(found, setup, canonical=canonical))
    if as_json:
        output.emit_json({"path": str(out), "runs": len(found.entries), "stopped": str(found.stopped), "name": written.name})
        return
    for line in _words(found, out, tables.fair(found, setup)):
        typer.echo(line)


def _watts(found: Measured) -> str:
    """What an idle second takes, by state."""
    if found.idle.reason is not None:
        return f"idle watts: not read ({found.idle.reason})"
    states = ", ".join(f"{state.replace('_', ' ')} {sum(w) / len(w):.1f} W" for state, w in found.idle.watts.items())
    return f"idle watts: {states}; waking up: {', '.join(f'{n} {x:.1f}' for n, x in found.idle.wake_s.items())}"


def _words(found: Measured, out: Path, fair: list[str]) -> list[str]:
    from deltastack.accelerator import bench

    held_back = bench.throttled(found.entries)
    lines = [
        f"{out}: {len(found.entries)} runs on {found.device}; ended because {found.stopped}",
        f"neighbours: {found.neighbours}",
        *fair,
        _watts(found),
        *(f"{cell}: not measured ({reason})" for cell, reason in found.failed.items()),
    ]
    if any(e.quality.get("fused") == 0 for e in found.entries):
        lines.append("torch.compile made no kernels here: elementwise work was not fused, and the base is slow")
    if held_back:
        lines.append(f"clocks were held back in {sum(held_back.values())} runs; the bundle is marked not canonical")
    return [*lines, f"deltastack replay {out} shows what it says"]
