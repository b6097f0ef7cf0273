"""Every set of layers, switched on and off a hundred times in one process: nothing drifts."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil
import pytest

from deltastack.evaluation import testbed_cells
from deltastack.layers import LAYERS, techniques
from deltastack.testbed import bench
from tests.fakes import FIVE
from tests.testbed import tiny
from tests.testbed.switches.test_conformance import same

if TYPE_CHECKING:
    from deltastack.testbed.bench import Cells
    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.session import Outcome

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
ROOT = Path(__file__).parents[3]
TIMES = int(os.environ.get("DELTASTACK_DRIFT_SESSIONS", "3"))
"""Sessions of every cell; every cell is entered and left a hundred times whatever this is."""
LIBRARY_BYTE = 6e3
"""What the safetensors library leaves behind a session of this host: 64 bytes a tensor, measured apart from any session."""


class Held(NamedTuple):
    """What the process holds."""

    threads: int
    system_threads: int
    files: int
    resident_byte: int
    objects: int


def held() -> Held:
    """Now, after a collection."""
    gc.collect()
    process = psutil.Process()
    return Held(
        threading.active_count(), process.num_threads(), process.num_fds(), process.memory_info().rss, len(gc.get_objects())
    )


def cells_of(engine: Engine) -> Cells:
    """Every set of the five layers, and every technique of the further ones: alone, and with all five on."""
    chosen = {name: techniques.chosen(ROOT, layer) for name, layer in LAYERS.items()}
    able = {name: testbed_cells.with_switch(engine, some, entered=True) for name, some in chosen.items()}
    five = testbed_cells.of_stack({name: chosen[name] for name in FIVE}, able)
    alone = {
        f"{n}/{one.name}": (testbed_cells.switch(one),)
        for n in LAYERS
        if n not in FIVE
        for one in chosen[n]
        if one.name in able[n]
    }
    every = five["+".join(sorted(FIVE))]
    return {**five, **alone, **{f"five+{name}": (*every, *switches) for name, switches in alone.items()}}


def test_nothing_drifts(tmp_path: Path) -> None:
    """Outputs, threads, files, memory and objects stay.

    32 cells and those of further layers, each entered and left 100 times, with sessions in between.
    """
    engine = tiny.engine("llava", tmp_path)
    batches = tiny.session(engine, new_tokens=2)[:2]
    cells = cells_of(engine)
    serving = repr(engine.serving)
    first: dict[str, Outcome] = {}
    before = held()

    for turn in range(100):
        for name, switches in cells.items():
            with bench.entered(engine, switches):
                if turn < TIMES:
                    outcome = engine.run(batches)
                    assert same(first.setdefault(name, outcome), outcome), (name, turn)
        if turn == 0:
            before = held()
    after = held()

    assert len([name for name in cells if "/" not in name]) == 32
    assert repr(engine.serving) == serving
    assert same(first["base"], engine.run(batches))
    assert after[:3] == before[:3]
    assert after.resident_byte - before.resident_byte < 8e6 + LIBRARY_BYTE * len(cells) * TIMES
    assert after.objects - before.objects < 300
