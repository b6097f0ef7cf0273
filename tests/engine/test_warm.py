"""Servers that are forks of one warm import: a cell each, read back, metered and ended like any other server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from deltastack.engine import bench, cells, check, process
from deltastack.engine.bench import Order
from deltastack.engine.warm import Source
from deltastack.errors import CellError, PreflightError
from tests.engine.fakes import SERVER, engine, silent, with_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deltastack.engine.declaration import Engine

MODULE = """
import os
with open(os.environ["IMPORTS"], "a") as file:
    file.write("imported\\n")
with open(os.environ["IMPORTS"] + ".folder", "w") as file:
    file.write(os.environ["TMPDIR"])
from fake_engine import main
"""
BENCH = """
import sys, time
from pathlib import Path
from deltastack.engine import cells, declaration, process
from deltastack.engine.warm import Source
engine, root = declaration.Engine.model_validate_json(sys.stdin.read()), Path(sys.argv[1])
command = cells.command(engine, engine.start, cells.resolve(engine, "base", root), root, process.free_port())
with process.ended_by_signals(), Source(engine, root, root) as source:
    with source.running(engine.start, command, root / "log", {}) as server:
        print(" ".join(str(p.pid) for p in server.tree()), server.root.ppid(), flush=True)
        time.sleep(600)
"""

THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()"


@pytest.fixture
def started(tmp_path: Path) -> dict[str, Any]:
    """How the fake engine is started as a fork; its import leaves a line in ``imports``."""
    (tmp_path / "warm_engine.py").write_text(MODULE)
    path = os.pathsep.join((str(tmp_path), str(SERVER.parent)))
    return {
        "warm": {"python": "{python}", "main": "warm_engine:main", "modules": ["json"]},
        "command": ["fake", "--port", "{port}", "{flags}"],
        "environment": {"PYTHONPATH": path, "IMPORTS": str(tmp_path / "imports")},
    }


@pytest.fixture
def source(tmp_path: Path, started: dict[str, Any]) -> Iterator[Source]:
    """A source of forks."""
    with Source(engine("cache", start=started), tmp_path, tmp_path) as one:
        yield one


def served(one: Engine, tmp_path: Path, *words: str) -> tuple[Any, ...]:
    """The arguments of ``Source.running`` for the base with further words."""
    assert one.start is not None
    command = cells.command(one, one.start, cells.resolve(one, "base", tmp_path), tmp_path, process.free_port())
    changed = process.Command(arguments=(*command.arguments, *words), environment={}, address=command.address)
    return one.start, changed, tmp_path / "log", {}


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(pids: list[int], within_s: float = 30) -> bool:
    """Whether all of ``pids`` end within a while."""
    last_s = time.monotonic() + within_s
    while time.monotonic() < last_s and any(map(alive, pids)):
        time.sleep(0.02)
    return not any(map(alive, pids))


def test_an_experiment_imports_once(tmp_path: Path, started: dict[str, Any]) -> None:
    """Ten servers, each with its own switches as it resolved them, and one import; the tables are the usual ones."""
    found = bench.measure(tmp_path, engine("cache", "quant", start=started), Order(), silent)

    assert (tmp_path / "imports").read_text() == "imported\n"
    assert found.layers == ("storage", "instruction_set")
    assert len(found.measured.entries) == 10
    assert not found.measured.faults
    assert not Path((tmp_path / "imports.folder").read_text()).exists()
    assert all(e.quality["start_cpu_s"] > 0 for e in found.measured.entries)


@pytest.mark.parametrize(("fault", "words"), [("crash", "the server ended"), ("throttle", "429"), ("leak", "limits.memory_byte")])
def test_a_fault_leaves_the_other_forks_right(tmp_path: Path, started: dict[str, Any], fault: str, words: str) -> None:
    """The cell is given up with its reason; the others ran in the same zygote."""
    one = with_fault(fault, start=started, limits={"memory_byte": 300e6, "attempts": 1})

    found = bench.measure(tmp_path, one, Order(), silent)

    assert set(found.measured.given_up) == {"instruction_set", "instruction_set+storage"}
    assert words in found.measured.given_up["instruction_set"] or "requests" in found.measured.given_up["instruction_set"]
    assert found.layers == ("storage",)
    assert (tmp_path / "imports").read_text() == "imported\n"


def test_a_dead_switch_of_a_fork_is_found(tmp_path: Path, started: dict[str, Any]) -> None:
    """Read-back asks the fork itself."""
    started["command"] += ["dead=cache"]

    found = bench.measure(tmp_path, engine("cache", "quant", start=started), Order(), silent)

    assert "settings.cache is 'false', wanted 'true'" in found.measured.given_up["storage"]


def test_a_stubborn_fork_and_its_child_are_ended(tmp_path: Path, started: dict[str, Any], source: Source) -> None:
    """Both ignore SIGTERM, the child is in a session of its own; the zygote stays for the next cell."""
    one = engine("cache", start=started)
    with source.running(*served(one, tmp_path, "fault=stubborn")) as server:
        pids = [p.pid for p in server.tree()]
        assert len(pids) == 2
    assert not any(map(alive, pids))

    with source.running(*served(one, tmp_path)) as server:
        assert server.alive()
    assert (tmp_path / "imports").read_text() == "imported\n"


def test_a_lost_zygote_takes_its_fork_along_and_is_started_again(tmp_path: Path, started: dict[str, Any], source: Source) -> None:
    """The kernel ends the fork with its parent; the next cell imports again."""
    one = engine("cache", start=started)
    with source.running(*served(one, tmp_path)) as server:
        assert server.root is not None
        os.kill(server.root.ppid(), signal.SIGKILL)
        assert gone([server.root.pid])

    with source.running(*served(one, tmp_path)) as server:
        assert server.alive()
    assert (tmp_path / "imports").read_text() == "imported\n" * 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_bench_is_killed(tmp_path: Path, started: dict[str, Any], number: signal.Signals) -> None:
    """Neither the zygote nor a stubborn fork nor its child survives."""
    started["command"] += ["fault=stubborn"]
    words = [sys.executable, "-c", BENCH, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdin is not None
        assert one.stdout is not None
        one.stdin.write(engine("cache", start=started).model_dump_json())
        one.stdin.close()
        pids = [int(p) for p in one.stdout.readline().split()]
        assert len(pids) == 3
        assert all(map(alive, pids))

        one.send_signal(number)
        one.wait()

    assert gone(pids)


def test_a_fork_holds_no_end_of_the_socket(tmp_path: Path, started: dict[str, Any], source: Source) -> None:
    """What the engine runs cannot speak to the zygote: the fork has its own listener and nothing else that connects."""
    with source.running(*served(engine("cache", start=started), tmp_path)) as server:
        assert server.root is not None
        unix = {(s.fd, s.family) for s in server.root.net_connections("unix")}
    assert unix == set()


def test_an_unknown_flag_is_told_with_the_forks_status(tmp_path: Path, started: dict[str, Any], source: Source) -> None:
    """As the engine itself says it."""
    with pytest.raises(CellError, match=r"ended with status 1 before it was ready: fake engine: unknown flag --refuse"):
        source.running(*served(engine("cache", start=started), tmp_path, "--refuse")).__enter__()


@pytest.mark.parametrize(
    ("module", "words"),
    [("import no_such_engine", "No module named 'no_such_engine'"), (THREAD, "started 1 threads")],
)
def test_an_import_that_cannot_be_forked_is_refused(tmp_path: Path, started: dict[str, Any], module: str, words: str) -> None:
    """It fails, or leaves a thread that no fork would have."""
    (tmp_path / "warm_engine.py").write_text(f"{module}\ndef main(): pass\n")
    one = engine("cache", start=started)

    with Source(one, tmp_path, tmp_path) as source, pytest.raises(CellError, match=words):
        source.running(*served(one, tmp_path)).__enter__()


def test_a_missing_installation_is_refused_with_its_remedy(tmp_path: Path) -> None:
    """Before anything starts, by run and by check."""
    one = engine("cache", files={"server": str(SERVER), "installed": ".venv-engine/ready"}, made_by="make engine ENGINE=vllm")

    with pytest.raises(PreflightError, match=r"fake has no .venv-engine/ready: make engine ENGINE=vllm"):
        bench.measure(tmp_path, one, Order(), silent)
    found = check.check(tmp_path, one, Order(), silent, start=False)
    assert [c.remedy for c in found.checks if c.state == "fail"] == ["make engine ENGINE=vllm"]
