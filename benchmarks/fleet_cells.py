"""What it saves to simulate cells of equal content once: ``python -m benchmarks.fleet_cells [SCENE] [DRAWS]``.

Asked for are the cells of the stages ``baseline``, ``estimate`` (every layer) and ``joint`` of one scene. The ratio is that of
processor seconds, each cell timed once in this process and one thread: those of all cells that are asked for, over those of the
different ones.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from deltastack import layers
from deltastack.errors import CapacityError, OutOfValidityError
from tasks import fleet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deltastack.evaluation.fleet_runner import FleetRunner
    from deltastack.layers.techniques import ConfiguredTechnique

    Techniques = tuple[ConfiguredTechnique, ...]

ROOT = Path(__file__).parents[1]
SCENE, DRAWS = "assistant", 2


def main() -> None:
    """Time every different cell once, and print both sums."""
    name = sys.argv[1] if len(sys.argv) > 1 else SCENE
    at = replace(fleet.fleet_runner(ROOT, name), draws=int(sys.argv[2]) if len(sys.argv) > 2 else DRAWS)  # noqa: PLR2004 - its place
    at.check()  # compiles, so that no cell pays for it
    asked = [(draw, at.content(draw, cell), cell) for draw in range(at.draws) for cell in cells(at, draw)]
    took_s: dict[tuple[int, str], float] = {}
    for draw, content, cell in asked:
        if (draw, content) not in took_s:
            took_s[draw, content] = _timed(at, draw, cell)
    every_s, once_s = sum(took_s[d, c] for d, c, _ in asked), sum(took_s.values())
    print(
        f"{name}, {at.draws} draws: {len(asked)} cells asked for, {every_s:.1f} processor seconds; {len(took_s)} different,"
        f" {once_s:.1f}: {every_s / once_s:.2f} times less"
    )


def cells(at: FleetRunner, draw: int) -> Iterator[Techniques]:
    """What the stages of a scene ask for in one draw: the baseline, each layer's base, techniques and sum, and all sets."""
    names = fleet.stack(ROOT).layers
    known = {n: [t for t in at.chosen(layers.layer(n), draw) if t.on_fleet] for n in names}
    on = {n: tuple(t for t in known[n] if t.on) for n in names}
    yield ()
    for n in names:
        yield from ((), *((t,) for t in known[n]), on[n])
    for mask in range(2 ** len(names)):
        yield tuple(t for i, n in enumerate(names) if mask >> i & 1 for t in on[n])


def _timed(at: FleetRunner, draw: int, techniques: Techniques) -> float:
    """Processor seconds of one cell; one that does not hold takes what it takes to find out."""
    start = time.process_time()
    try:
        at.usage(draw, techniques)
    except (OutOfValidityError, CapacityError) as error:
        print(f"  does not hold: {error}")
    return time.process_time() - start


if __name__ == "__main__":
    main()
