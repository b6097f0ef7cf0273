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
from deltastack.evaluation.fleet_runner import Cell, FleetRunner
from deltastack.model import Component, Evidence, OperatingPoint, Reading, Resource, Usage
from tests.fakes import fake_trace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deltastack.layers.techniques import ConfiguredTechnique

ROOT = Path(__file__).parents[2]
LAYERS = ("chiplet", "idle")
DRAWS = 2
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


def bench(killed_at: int | None = None, kept: Kept | None = None) -> Counting:
    """Half a minute of traffic, two draws."""
    found = Counting(root=ROOT, requests=fake_trace(60, 2.0), draws=DRAWS, canonical=True, kept=kept)
    object.__setattr__(found, "ran", [])
    object.__setattr__(found, "killed_at", killed_at)
    return found


def factorial(path: Path, at: Counting) -> bytes:
    """The bytes of the table of two layers."""
    found = fleet_estimates.joint_rows(at, [layers.layer(n) for n in LAYERS])
    JOINT.write(JOINT.frame(found.rows), path)
    return path.read_bytes()


def different(at: Counting) -> int:
    """Cells of different content: those of the factorial, and each technique alone with its central values."""
    on = {n: {d: tuple(t for t in at.chosen(layers.layer(n), d) if t.on) for d in range(DRAWS)} for n in LAYERS}
    cells = [(d, ()) for d in range(DRAWS)] + [(d, on[n][d]) for n in LAYERS for d in range(DRAWS)]
    cells += [(d, tuple(t for n in LAYERS for t in on[n][d])) for d in range(DRAWS)]
    cells += [(0, (t,)) for n in LAYERS for t in at.chosen(layers.layer(n)) if t.on_fleet]
    return len({(d, at.content(d, ts)) for d, ts in cells})


def test_killed_half_way_it_repeats_nothing(tmp_path: Path) -> None:
    """Killed when it begins its eighth cell, then run again: only what is not on disk is run; the same bytes."""
    path = tmp_path / "kept.jsonl"
    code = (
        "import sys; from pathlib import Path; from tests.evaluation import test_cell_checkpoint as t; "
        "t.factorial(Path(sys.argv[1]), t.bench(int(sys.argv[3]), t.Kept(Path(sys.argv[2]), 'k')))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "killed.parquet"), str(path), "7"]
    done = subprocess.run(command, cwd=ROOT, check=False)
    there = len(Kept(path, "k"))

    again, whole = bench(kept=Kept(path, "k")), bench()
    resumed = factorial(tmp_path / "again.parquet", again)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed.parquet").exists()
    assert 5 <= there <= 7  # two at a time: what was under way is lost
    assert len(again.ran) == different(whole) - there
    assert resumed == factorial(tmp_path / "whole.parquet", whole)
    assert len(whole.ran) == different(whole)


def test_cells_of_equal_content_run_once() -> None:
    """A technique that is all of its layer, its layer, a layer with nothing on, and the base again: two cells are simulated."""
    at = bench()
    dies = next(t for t in at.chosen(layers.layer("chiplet"), 1) if t.name == "memory_on_logic")
    jobs = [(1, Cell("base", ())), (1, Cell(dies.name, (dies,))), (1, Cell("chiplet", (dies,))), (1, Cell("pipeline", ()))]
    base, alone, layer, nothing = at.usages(jobs)

    assert len(at.ran) == 2
    assert (alone, base) == (layer, nothing)
    assert alone != base
    assert at.usages(jobs[:1]) == [base]
    assert len(at.ran) == 2
    at.usages([(0, Cell("base", ()))])
    assert len(at.ran) == 3  # another draw is another cell


def test_content_tells_workloads_settings_and_deployments_apart() -> None:
    """Another request, another draw, another number of replicas: each is another cell; the same twice is one."""
    at = bench()
    shorter = Counting(root=ROOT, requests=fake_trace(59, 2.0), draws=DRAWS, canonical=True)
    larger = Counting(root=ROOT, requests=fake_trace(60, 2.0), draws=DRAWS, canonical=True, served={"replicas": 3})
    found = [at.content(0, ()), at.content(1, ()), shorter.content(0, ()), larger.content(0, ())]

    assert len(set(found)) == 4
    assert bench().content(0, ()) == found[0]


def test_a_stage_reads_the_cells_of_another(tmp_path: Path) -> None:
    """Those under the same key; another key, a file that is not there and a line under way count for nothing, and stay."""
    mine, other, older, absent = (tmp_path / f"{n}.jsonl" for n in ("mine", "other", "older", "absent"))
    Kept(other, "k").add(0, "base", USAGE)
    Kept(older, "old").add(1, "base", USAGE)
    with other.open("a") as f:
        f.write('[2,"base",{"at_tr')
    before = other.read_bytes()

    found = Kept(mine, "k", (other, older, absent))
    assert (found.get(0, "base"), found.get(1, "base"), found.get(2, "base")) == (USAGE, None, None)
    found.add(3, "base", USAGE)
    assert other.read_bytes() == before
    assert len(Kept(mine, "k")) == 1


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

    cell, path = fleet_estimates.Cell("idle", ()), tmp_path / "k.jsonl"
    for ran in ([0], []):
        at = Refusing(root=ROOT, requests=fake_trace(10, 1.0), draws=1, canonical=True, kept=Kept(path, "k"))
        object.__setattr__(at, "ran", [])
        assert at.usages([(0, cell)]) == at.usages([(0, cell)]) == ["no such part"]
        assert at.ran == ran
