"""The accelerator bench on a processor: cells, energy windows, the experiment, its bundle, and the one script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deltastack import recording
from deltastack.accelerator import bench, boards, energy, idle, runner, shapes, switches, tables
from deltastack.accelerator.settings import Load
from deltastack.analysis.formula_totals import NO_MECHANISM
from deltastack.experiment.ledger import Entry
from deltastack.experiment.plan import Kind, Slot
from deltastack.model import Resource
from deltastack.outcomes import Formula

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
SMALL = Load(requests=4, image_tokens=4, text_tokens=4, output_tokens=2)


def test_every_set_of_five_layers_is_a_cell() -> None:
    """32 sets, the techniques that stand for no layer, the mechanism; each can be switched."""
    cells = bench.cells()
    sets = [c for c in cells if "/" not in c and not c.startswith("@")]
    assert len(sets) == 32
    assert "mechanism/micro_batches" in cells
    assert "instruction_set/fp8_row" in cells
    assert len(set(cells)) == len(cells)
    assert len({bench.switched(c) for c in sets}) == 32
    assert switches.sharing("micro_batches") == ["chiplet", "pipeline"]


class FakeBoard:
    """A counter of joules that moves every 50 ms at 200 W, on a clock that goes on by 1 ms a look."""

    def __init__(self) -> None:
        """Time begins."""
        self.now = 0.0

    def clock(self) -> float:
        """One millisecond later."""
        self.now += 1e-3
        return self.now

    def energy_mj(self) -> int:
        """200 W until the last move."""
        return int(200e3 * 0.05 * (self.now // 0.05))

    def state(self) -> tuple[float, int]:
        """1.98 GHz, nothing held back."""
        return 1.98e9, 0


def _work(board: FakeBoard, seconds: float) -> Callable[[], None]:
    def work() -> None:
        board.now += seconds

    return work


def test_joules_are_read_between_two_moves() -> None:
    """Two seconds at 200 W are 400 J, within one move of the counter."""
    board = FakeBoard()
    found = energy.metered(board, None, _work(board, 2.0), board.clock)
    assert found.joules == pytest.approx(400, abs=1)  # the wait for the next move is taken off
    assert found.seconds == pytest.approx(2.0, abs=0.01)
    assert (found.clock_hz, found.throttled, found.reason) == (1.98e9, False, None)


def test_a_window_with_few_moves_has_no_joules() -> None:
    """0.2 s hold four moves; the reason says what to change."""
    board = FakeBoard()
    found = energy.metered(board, None, _work(board, 0.2), board.clock)
    assert found.joules is None
    assert found.reason is not None
    assert "more sessions" in found.reason


def test_without_a_board_there_is_a_reason() -> None:
    """Time is read, joules are null."""
    found = energy.metered(None, "no board", lambda: None)
    assert (found.joules, found.reason) == (None, "no board")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[bench.Setup, bench.Measured, Path]:
    """A small factorial: the storage and idle layers, one technique, the mechanism; written down and gone on with."""
    folder = tmp_path_factory.mktemp("ledger")
    cells = ("base", "storage", "idle", "idle+storage", "mechanism/micro_batches")
    cells += ("instruction_set/int8", "storage/kv_file", "idle/encoder_given_back", "@cold_mapped", "@cold_pinned")
    setup = bench.Setup(shape="tiny", device="cpu", load=SMALL, cells=cells, starts=1)
    found = bench.measure(setup, folder, lambda _: None, budget_s=600, block_pairs=2)
    again = bench.measure(setup, folder, lambda _: None, budget_s=600, block_pairs=2)
    assert [e.slot for e in again.entries] == [e.slot for e in found.entries]
    assert again.entries == found.entries
    return setup, found, folder


@pytest.mark.slow
def test_an_experiment_becomes_a_bundle_that_replays(measured: tuple[bench.Setup, bench.Measured, Path], tmp_path: Path) -> None:
    """The joint table, techniques and mechanism alone, counters; the joules' reason; what the bundle says is finite."""
    setup, found, _ = measured
    recording.write(
        tmp_path / "x.zip", tables.head(found, setup, ("storage", "idle")), tables.parts(found, setup, canonical=False)
    )
    read = recording.read(tmp_path / "x.zip")
    assert set(read.tables) == {"joint", "counter", "delta/storage", "delta/idle", "delta/instruction_set", "delta/mechanism"}
    storage = {"all", "kv_restore", "base@aa", "kv_file", "kv_file@kv_restore", "cold_pinned@mapped"}
    assert set(read.tables["delta/storage"]["technique"]) == storage
    assert set(read.tables["delta/idle"]["technique"]) == {"all", "encoder_skip", "base@aa", "encoder_given_back"}
    assert read.manifest.versions["shape"] == "tiny"
    assert set(read.tables["delta/mechanism"]["technique"]) == {"micro_batches", "base@aa"}
    joules = read.tables["joint"].query("resource == 'energy_j'")
    assert joules["amount"].isna().all()
    assert joules["reason"].str.contains("processor").all()
    agreement = read.tables["counter"].query("counter == 'agreement_last' and cell == 'idle+storage'")
    assert (agreement["amount"] == 1.0).all()
    (time,) = [o for o in recording.outcomes(read, tolerance=0.02, confidence=0.95) if o.factorial.resource is Resource.TIME_S]
    assert time.factorial.layers == ("storage", "idle")
    assert time.totals[Formula.BY_MECHANISM].reason == NO_MECHANISM  # neither of the two layers uses it


def _entry(cell: str, decode_s: float, prefill_s: float) -> Entry:
    slot = Slot(start=0, block=0, position=0, cell=cell, kind=Kind.RUN)
    return Entry(slot=slot, readings={}, components={}, quality={"decode_s": decode_s, "prefill_s": prefill_s})


@pytest.mark.slow
def test_idle_watts_and_failed_cells_are_in_the_bundle(
    measured: tuple[bench.Setup, bench.Measured, Path], tmp_path: Path
) -> None:
    """Joules of an idle second against weights held; a cell that failed is null with its reason, and the others stand."""
    setup, found, _ = measured
    watts = {"weights_held": [122.0, 121.0], "weights_given_back": [123.0, 122.0], "context_ended": [73.0, 72.0]}
    entries = tuple(
        runner.absent(e.slot, "RuntimeError: no kernel") if e.slot.cell == "instruction_set/int8" else e for e in found.entries
    )
    failed = {"instruction_set/int8": "RuntimeError: no kernel"}
    still = idle.Idle(watts=watts, wake_s={"context_s": 0.3})
    changed = replace(found, entries=entries, failed=failed, idle=still)
    recording.write(
        tmp_path / "x.zip", tables.head(changed, setup, ("storage", "idle")), tables.parts(changed, setup, canonical=True)
    )
    read = recording.read(tmp_path / "x.zip")
    rows = read.tables["delta/idle"].query("technique == 'context_ended@weights_held'")
    assert rows["base"].tolist() == [122.0, 121.0]
    assert rows["optimized"].tolist() == [73.0, 72.0]
    int8 = read.tables["delta/instruction_set"].query("technique == 'int8' and resource == 'time_s'")
    assert int8["optimized"].isna().all()
    assert set(int8["reason"]) == {"RuntimeError: no kernel"}
    named = set(read.tables["counter"].query("cell == 'idle/context_ended'")["counter"])
    assert {"context_ended_0_w", "wake_context_s"} <= named
    assert recording.outcomes(read, tolerance=0.02, confidence=0.95)


def test_a_fair_base_by_hand() -> None:
    """A step of one second at a bandwidth of its bytes a second is at the bound; half of the peak is half."""
    load, tiny = SMALL, shapes.shape("tiny")
    context = 2 * (8 + 1) + 2 * (4 + 1)
    read_byte = 2 * tiny.linear_parameters + tiny.kv_byte(context)
    tokens = 2 * 8 + 2 * 4
    work = 2 * (tiny.linear_parameters - 128 * 64) * tokens + 2 * 2 * 4 * 4 * 16 * (8 * 8 + 4 * 4)
    peak = boards.Sheet(("x",), float(read_byte), 2.0 * work)
    found = boards.fairness([{"decode_s": 2.0, "prefill_s": 1.0}], "tiny", load, peak)
    assert found["decode_over_bound"] == pytest.approx(1.0)
    assert found["prefill_share_of_peak"] == pytest.approx(0.5)


def test_a_base_is_called_fair_or_not_with_its_boards_peaks() -> None:
    """6.3 ms a step and 0.37 s of prefill are fair; at half the speed it is not; without a data sheet there is no figure."""
    quick, slow = {"decode_s": 0.8, "prefill_s": 0.37}, {"decode_s": 1.6, "prefill_s": 0.37}
    name = "NVIDIA H100 80GB HBM3"
    (said,) = boards.words([quick], "qwen3_vl_8b", Load(), name)
    assert said.startswith("fair base")
    assert "3.35 TB/s" in said
    assert "989 TFLOP/s" in said
    assert boards.words([slow], "qwen3_vl_8b", Load(), name)[0].startswith("NOT a fair base")
    assert "no data sheet" in boards.words([quick], "qwen3_vl_8b", Load(), "cpu")[0]


def test_runs_at_another_clock_are_marked() -> None:
    """By cell, those that were held back."""
    held = replace(_entry("idle", 1, 1), quality={"throttled": 1.0})
    assert bench.throttled((_entry("base", 1, 1), held)) == {"idle": 1}


@pytest.mark.slow
def test_the_script_leaves_a_bundle_and_a_log(tmp_path: Path) -> None:
    """Within its limit on a processor; the log says so; an unknown option is refused in one line."""
    script = ["sh", str(ROOT / "scripts/accelerator.sh")]
    known = os.environ | {"PYTHON": sys.executable}
    words = ["--seconds", "1", "--device", "cpu", "--out", str(tmp_path / "run")]
    done = subprocess.run([*script, *words], capture_output=True, text=True, check=False, env=known)
    assert done.returncode == 0, done.stdout + done.stderr
    assert recording.read(tmp_path / "run/accelerator.zip").manifest.device == "cpu"
    assert "runs on cpu" in (tmp_path / "run/log.txt").read_text()
    wrong = subprocess.run([*script, "--speed", "1"], capture_output=True, text=True, check=False, env=known)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


@pytest.mark.slow
def test_the_command_prints_json(tmp_path: Path) -> None:
    """Path, runs and name of the bundle: in a second the factorial is run once, 32 sets, the base's twin and the mechanism."""
    words = ["accelerator", "--device", "cpu", "--seconds", "1", "--blocks", "1", "--json"]
    words += ["--out", str(tmp_path / "x.zip"), "--folder", str(tmp_path / "ledger")]
    done = subprocess.run([sys.executable, "-m", "deltastack.cli", *words], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["runs"] >= 32 + 2
