"""``deltastack accelerator``: the layers measured on a GPU, as a bundle to replay elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deltastack.cli import output

if TYPE_CHECKING:
    from deltastack.accelerator.bench import Measured


def accelerator(
    out: Annotated[Path, typer.Option(help="The bundle to write.")] = Path("accelerator.zip"),
    device: Annotated[str, typer.Option(help="cuda, or cpu at small size.")] = "cuda",
    shape: Annotated[str | None, typer.Option(help="A model's sizes (default: qwen3_vl_8b on cuda, tiny on cpu).")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Time limit; one pair of blocks is run however small it is.")] = 480,
    block_pairs: Annotated[int, typer.Option(min=1, help="At most so many.")] = 3,
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
    load = Load() if cuda else Load(requests=8, image_tokens=16, text_tokens=16, output_tokens=8)
    setup = bench.Setup(shape=shape or ("qwen3_vl_8b" if cuda else "tiny"), device=device, load=load, cells=bench.cells())
    found = bench.measure(setup, folder, output.say, budget_s=seconds, block_pairs=block_pairs)
    canonical = cuda and not bench.throttled(found.entries)
    written = recording.write(out, tables.head(found, switches.LAYERS), tables.parts(found, setup, canonical=canonical))
    if as_json:
        output.emit_json({"path": str(out), "runs": len(found.entries), "stopped": str(found.stopped), "name": written.name})
        return
    for line in _words(found, out):
        typer.echo(line)


def _words(found: Measured, out: Path) -> list[str]:
    from deltastack.accelerator import bench

    held_back = bench.throttled(found.entries)
    lines = [
        f"{out}: {len(found.entries)} runs on {found.device}; ended because {found.stopped}",
        f"neighbours: {found.neighbours}",
    ]
    if held_back:
        lines.append(f"clocks were held back in {sum(held_back.values())} runs; the bundle is marked not canonical")
    return [*lines, f"deltastack replay {out} shows what it says"]
