"""A factorial that was killed half-way goes on: finished cells are not run again, and the table is the same to the byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deltastack import layers
from deltastack.contracts import JOINT
from deltastack.errors import EvidenceError, OutOfValidityError
from deltastack.evaluation import fleet_estimates
from deltastack.evaluation.cell_checkpoint import Kept
from deltastack.evaluation.fleet_runner import FleetRunner
from deltastack.model import Component, Evidence, OperatingPoint, Reading, Resource, Usage
from tests.fakes import fake_trace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deltastack.layers.techniques import ConfiguredTechnique

ROOT = Path(__file__).parents[2]
LAYERS = ("chiplet", "idle")
CELLS, DRAWS = 4, 2
USAGE = {
    OperatingPoint.AT_TRACE: Usage(
        readings=(
            Reading(Component.FFN, Resource.TIME_S, 0.1 + 0.2, Evidence.SIMULATED, None, 1e-300, 1 / 3),
            Reading(Component.IDLE, Resource.ENERGY_J, None, Evidence.ASSUMED, "no counter"),
        ),
        missed=("TTFT p99 4 s > 3 s",),
    )
}


class Counting(FleetRunner):
    """A workbench that counts the cells it runs; with ``killed_at`` it is killed, not stopped, when it begins that one."""

    ran: list[int]
    killed_at: int | None = None

    def usage(self, draw: int, techniques: Iterable[ConfiguredTechnique]) -> dict[OperatingPoint, Usage]:
        """Run one, unless it is the last of this process."""
        if self.killed_at is not None and len(self.ran) >= self.killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.ran.append(draw)
        return super().usage(draw, techniques)


def bench(killed_at: int | None = None) -> Counting:
    """Half a minute of traffic, two draws."""
    found = Counting(root=ROOT, requests=fake_trace(60, 2.0), draws=DRAWS, canonical=True)
    object.__setattr__(found, "ran", [])
    object.__setattr__(found, "killed_at", killed_at)
    return found


def factorial(path: Path, at: Counting, kept: Path | None) -> bytes:
    """The bytes of the table of two layers."""
    found = fleet_estimates.joint_rows(at, [layers.layer(n) for n in LAYERS], kept=None if kept is None else Kept(kept, "k"))
    JOINT.write(JOINT.frame(found.rows), path)
    return path.read_bytes()


def alone() -> int:
    """Runs that only ask which techniques hold: they are no cells of the factorial."""
    at = bench()
    for name in LAYERS:
        fleet_estimates.valid(at, layers.layer(name))
    return len(at.ran)


def test_killed_half_way_it_repeats_nothing(tmp_path: Path) -> None:
    """Killed when it begins its sixth cell of eight, then run again: only what is not on disk is run; the same bytes."""
    first = alone()
    kept = tmp_path / "kept.jsonl"
    code = (
        "import sys; from pathlib import Path; from tests.evaluation import test_cell_checkpoint as t; "
        "t.factorial(Path(sys.argv[1]), t.bench(int(sys.argv[3])), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "killed.parquet"), str(kept), str(first + 5)]
    done = subprocess.run(command, cwd=ROOT, check=False)
    there = len(Kept(kept, "k"))

    again, whole = bench(), bench()
    resumed = factorial(tmp_path / "again.parquet", again, kept)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed.parquet").exists()
    assert 3 <= there <= 5  # two at a time: what was under way is lost
    assert len(again.ran) - first == CELLS * DRAWS - there
    assert resumed == factorial(tmp_path / "whole.parquet", whole, None)
    assert len(whole.ran) - first == CELLS * DRAWS


def test_a_finished_cell_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    """Amounts, ranges, reasons, missed goals and a cell that does not hold; a line that was cut off is dropped."""
    kept = Kept(tmp_path / "k.jsonl", "k")
    kept.add(0, "base", USAGE)
    kept.add(1, "base", "does not fit")
    with (tmp_path / "k.jsonl").open("a") as f:
        f.write('[2,"base",{"at_tr')

    found = Kept(tmp_path / "k.jsonl", "k")
    assert (found.get(0, "base"), found.get(1, "base"), found.get(2, "base")) == (USAGE, "does not fit", None)
    found.add(2, "base", USAGE)
    assert len(Kept(tmp_path / "k.jsonl", "k")) == 3
    found.finish()
    assert not (tmp_path / "k.jsonl").exists()


def test_cells_of_other_parameters_are_refused(tmp_path: Path) -> None:
    """Another key is an error, never a mixture; a file that was cut off in its first line is begun anew."""
    Kept(tmp_path / "k.jsonl", "k").add(0, "base", USAGE)
    with pytest.raises(EvidenceError, match=r"k\.jsonl holds runs of another plan, parameters or host"):
        Kept(tmp_path / "k.jsonl", "other")
    (tmp_path / "cut.jsonl").write_text('{"key":"k')

    begun = Kept(tmp_path / "cut.jsonl", "k")
    begun.add(0, "base", USAGE)
    assert len(Kept(tmp_path / "cut.jsonl", "k")) == 1


def test_a_cell_that_does_not_hold_is_kept_with_its_reason(tmp_path: Path) -> None:
    """Its reason is an answer: it is not tried again."""

    class Refusing(Counting):
        def usage(self, draw: int, techniques: Iterable[ConfiguredTechnique]) -> dict[OperatingPoint, Usage]:
            self.ran.append(draw + len(tuple(techniques)))
            raise OutOfValidityError("no such part")

    at = Refusing(root=ROOT, requests=fake_trace(10, 1.0), draws=1, canonical=True)
    object.__setattr__(at, "ran", [])
    kept = Kept(tmp_path / "k.jsonl", "k")
    cell = fleet_estimates.Cell("idle", ())

    assert at.usages([(0, cell)], kept) == at.usages([(0, cell)], kept) == ["no such part"]
    assert at.ran == [0]
