"""Work on a Dask cluster: a real scheduler and real workers, which are killed; every failure is one line, and none hangs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from distributed import versions

from deltastack import layers
from deltastack.contracts import DELTA, JOINT
from deltastack.errors import ClusterError, ParamsError, PreflightError
from deltastack.evaluation import fleet_estimates
from deltastack.evaluation.cell_checkpoint import Kept
from deltastack.evaluation.fleet_runner import FleetRunner
from deltastack.fleet import cluster_work, environment, executor
from deltastack.fleet.cluster import Cluster
from deltastack.fleet.executor import Processes, Threads
from tests import dask_servers
from tests.dask_servers import ROOT, Servers
from tests.fakes import fake_trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from deltastack.fleet.executor import Executor

real = pytest.mark.slow
pytestmark = pytest.mark.xdist_group("dask")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A scheduler with two workers that nobody kills."""
    with dask_servers.servers(tmp_path_factory.mktemp("dask")) as found:
        yield found


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Servers]:
    """The same, for one test."""
    with dask_servers.servers(tmp_path) as found:
        yield found


def test_the_environment_comes_before_the_params(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads where nobody says anything; a cluster by its address; what is neither is refused with its place."""
    monkeypatch.delenv(executor.VARIABLE, raising=False)
    assert executor.chosen(ROOT) == Threads()
    assert executor.chosen(ROOT, "processes") == Processes()
    assert executor.chosen(ROOT, "tcp://here:8786") == Cluster(address="tcp://here:8786", root=ROOT)
    with pytest.raises(ParamsError, match=r"^params/stack.yaml: executor: no executor 'here'; there are: threads, processes, or"):
        executor.chosen(ROOT, "here")
    monkeypatch.setenv(executor.VARIABLE, "tcp://there:1")
    assert executor.chosen(ROOT, "processes") == Cluster(address="tcp://there:1", root=ROOT)
    monkeypatch.setattr(executor, "find_spec", lambda _: None)
    with pytest.raises(PreflightError, match=r"^tcp://there:1: Dask is not installed here; pip install 'deltastack\[cluster\]'$"):
        executor.chosen(ROOT)
    monkeypatch.setenv(executor.VARIABLE, "there")
    with pytest.raises(ParamsError, match=r"^DELTASTACK_DASK: no executor 'there'"):
        executor.chosen(ROOT)


@real
def test_results_come_in_order_from_both_workers(two: Servers) -> None:
    """Sixty squares; both processes had some, none was ours, and each was told once."""
    told: list[int] = []
    found = two.executor().map(dask_servers.pid_and_square, range(60), lambda item, _: told.append(item))

    assert [square for _, square in found] == [x * x for x in range(60)]
    assert {pid for pid, _ in found} == {w.pid for w in two.workers}
    assert sorted(told) == list(range(60))
    assert two.executor().map(dask_servers.reciprocal, []) == []


@real
def test_a_failure_of_the_work_is_raised(two: Servers) -> None:
    """Its own error, of the first item that failed; what else was there was told."""
    told: list[int] = []
    with pytest.raises(ZeroDivisionError):
        two.executor().map(dask_servers.reciprocal, [1, 2, 0, 4], lambda item, _: told.append(item))

    assert sorted(told) == [1, 2, 4]


@real
def test_params_travel_with_the_work(two: Servers, tmp_path: Path) -> None:
    """A worker reads the params of the checkout that sent the work, in a folder of its own."""
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "x.yaml").write_text("mine: 1\n")
    ((root, text),) = two.executor(tmp_path).map(dask_servers.Reads(tmp_path), ["x.yaml"])

    assert text == "mine: 1\n"
    assert not Path(root).is_relative_to(tmp_path)


def runner(where: Executor, kept: Kept | None = None) -> FleetRunner:
    """A small scene: 200 requests, two draws."""
    return FleetRunner(
        root=ROOT, requests=fake_trace(200, 2.5), draws=2, canonical=True, served={"replicas": 2}, executor=where, kept=kept
    )


def tables(at: FleetRunner, folder: Path) -> tuple[bytes, bytes]:
    """The bytes of its joint table and of a layer's estimate."""
    idle, precision = layers.layer("idle"), layers.layer("instruction_set")
    JOINT.write(JOINT.frame(fleet_estimates.joint_rows(at, [idle, precision]).rows), folder / "joint.parquet")
    DELTA.write(DELTA.frame(fleet_estimates.delta_rows(at, idle).rows), folder / "delta.parquet")
    return (folder / "joint.parquet").read_bytes(), (folder / "delta.parquet").read_bytes()


class KillsOnFirst(Kept):
    """Kills a process when the first cell is there."""

    def __init__(self, path: Path, kill: Callable[[], None]) -> None:
        """Keep cells at ``path``."""
        super().__init__(path, "test")
        self._kill: Callable[[], None] | None = kill

    def add(self, draw: int, cell: str, found: object) -> None:
        """Keep, then kill."""
        super().add(draw, cell, found)  # type: ignore[arg-type] - as it came
        if self._kill is not None:
            self._kill()
            self._kill = None


@real
def test_the_tables_are_those_of_processes_though_a_worker_is_killed(mortal: Servers, tmp_path: Path) -> None:
    """When the first cell is there one of two workers is killed: joint table and estimate are equal, byte for byte."""
    kept = KillsOnFirst(tmp_path / "cells.jsonl", mortal.workers[0].kill)
    through_dask = tables(runner(mortal.executor(), kept), tmp_path)

    assert mortal.workers[0].wait() != 0
    assert mortal.workers[1].poll() is None
    assert through_dask == tables(runner(Processes(2)), tmp_path)


@real
def test_a_scheduler_that_dies_is_told_and_what_was_finished_is_kept(mortal: Servers, tmp_path: Path) -> None:
    """Killed when the first cell is there: one line; with a new one the table is that of a run that went through."""
    assert mortal.scheduler is not None
    kept = KillsOnFirst(tmp_path / "cells.jsonl", mortal.scheduler.kill)
    with pytest.raises(ClusterError, match=r"^the Dask scheduler at tcp://127.0.0.1:\d+ is gone") as error:
        tables(runner(mortal.executor(), kept), tmp_path)
    assert "\n" not in str(error.value)

    again = Kept(tmp_path / "cells.jsonl", "test")
    assert len(again) >= 1
    assert tables(runner(Threads(), again), tmp_path) == tables(runner(Threads()), tmp_path)


@real
def test_the_last_worker_that_dies_is_told(mortal: Servers) -> None:
    """Work that kills each worker it runs on: no wait without an end."""
    with pytest.raises(ClusterError, match=r"has lost its last worker, and none came within 1 s; start one with"):
        mortal.executor(wait_s=1.0).map(dask_servers.deadly, [1])


@real
def test_work_that_kills_every_worker_ends(tmp_path: Path) -> None:
    """Dask gives a task up after four workers that died with it."""
    with dask_servers.servers(tmp_path, workers=4) as four:
        with pytest.raises(ClusterError, match="every worker that ran one of the tasks died") as error:
            four.executor().map(dask_servers.deadly, [1])
        assert "\n" not in str(error.value)


@real
def test_a_cluster_without_a_worker_and_no_scheduler_at_all(tmp_path: Path) -> None:
    """Both are told in one line with the command that mends them."""
    with dask_servers.servers(tmp_path, workers=0) as none:
        with pytest.raises(ClusterError, match=r"has no worker within 1 s; start one with `dask worker tcp://"):
            none.executor(wait_s=1.0).map(dask_servers.reciprocal, [1])
        address = none.address
    with pytest.raises(ClusterError, match=r"^no Dask scheduler answers at tcp://.* within 1 s .*`dask scheduler`"):
        Cluster(address=address, root=ROOT, wait_s=1.0).map(dask_servers.reciprocal, [1])


@real
def test_a_worker_without_deltastack(tmp_path: Path) -> None:
    """The missing package is named, and what to install."""
    (tmp_path / "hide.py").write_text(
        "import sys\nfor name in [n for n in sys.modules if n.split('.')[0] == 'deltastack']:\n"
        "    del sys.modules[name]\nsys.modules['deltastack'] = None\n"
    )
    with dask_servers.servers(tmp_path, workers=0) as bare:
        bare.add_worker("--preload", str(tmp_path / "hide.py"))
        with pytest.raises(ClusterError, match=r"^worker tcp://.* cannot run deltastack .*install the same wheel") as error:
            bare.executor().map(abs, [1])
    assert "\n" not in str(error.value)


@real
def test_a_worker_with_other_code_or_libraries(two: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its results would have other bytes: the worker, what differs and both versions are named."""
    other = environment.describe() | {"numpy": "1.0"}
    monkeypatch.setattr(environment, "describe", lambda: other)
    with pytest.raises(ClusterError, match=r"^worker tcp://127.0.0.1:\d+ would give other bytes: numpy is .*, here 1.0; install"):
        two.executor().map(dask_servers.reciprocal, [1])


@real
def test_other_versions_of_dask(two: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found when we connect, before anything is sent."""
    get = versions.get_versions

    def older() -> dict[str, dict[str, object]]:
        found = get()
        return found | {"packages": found["packages"] | {"distributed": "2020.1.0"}}

    monkeypatch.setattr(versions, "get_versions", older)
    with pytest.raises(ClusterError, match=r"has other versions: distributed Client 2020.1.0, Scheduler 20.*; install") as error:
        two.executor().map(dask_servers.reciprocal, [1])
    assert "\n" not in str(error.value)


def test_what_was_changed_on_its_way_is_refused(tmp_path: Path) -> None:
    """A hash of function and params goes with both; opened twice it is the same function."""
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "a.yaml").write_text("a: 1\n")
    sent = cluster_work.pack(dask_servers.Reads(tmp_path), tmp_path)
    first = cluster_work.opened(sent, "w", tmp_path / "worker")

    assert first("a.yaml")[1] == "a: 1\n"
    assert cluster_work.opened(sent, "w", tmp_path / "worker") is first
    with pytest.raises(ClusterError, match="worker w: what came is not what was sent"):
        cluster_work.opened(replace(sent, files={"params/a.yaml": b"a: 2\n"}, digest="other"), "w", tmp_path)
