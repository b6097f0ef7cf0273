"""Servers end with the bench, however that ends; ports are checked before and after."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from deltastack.engine import process
from deltastack.engine.declaration import Health, Stop
from deltastack.engine.process import Command
from deltastack.errors import CellError
from tests.engine.fakes import SERVER

if TYPE_CHECKING:
    from pathlib import Path

HEALTH, STOP = Health(within_s=30, period_s=0.02), Stop(within_s=0.3)
BENCH = """
import sys, time
from pathlib import Path
from deltastack.engine import process
from deltastack.engine.declaration import Health, Stop
port, log = sys.argv[1], Path(sys.argv[2])
command = process.Command(arguments=tuple(sys.argv[3:]), environment={}, address=f"http://127.0.0.1:{port}")
with process.ended_by_signals(), process.running(command, Health(within_s=30), Stop(within_s=0.3), log, {}) as server:
    print(" ".join(str(p.pid) for p in server.tree()), flush=True)
    time.sleep(600)
"""


def command(port: int, *words: str) -> Command:
    """The fake engine on ``port``."""
    arguments = (sys.executable, str(SERVER), "--port", str(port), *words)
    return Command(arguments=arguments, environment={}, address=f"http://127.0.0.1:{port}")


def gone(pids: list[int], within_s: float = 30) -> bool:
    """Whether all of ``pids`` end within a while."""
    last_s = time.monotonic() + within_s
    while time.monotonic() < last_s and any(map(alive, pids)):
        time.sleep(0.02)
    return not any(map(alive, pids))


def alive(pid: int) -> bool:
    """Whether a process runs (one that only waits to be reaped does not)."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def bench(tmp_path: Path, *words: str) -> tuple[subprocess.Popen[str], list[int], int]:
    """A bench in a process of its own that serves; it, the processes below it, and the port."""
    port = process.free_port()
    arguments = [str(port), str(tmp_path / "log"), *command(port, *words).arguments]
    one = subprocess.Popen([sys.executable, "-c", BENCH, *arguments], stdout=subprocess.PIPE, text=True)
    assert one.stdout is not None
    return one, [int(p) for p in one.stdout.readline().split()], port


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_is_left_when_the_bench_is_killed(tmp_path: Path, number: signal.Signals) -> None:
    """SIGKILL gives the bench no chance: the keeper ends a server that ignores SIGTERM and its child in another session."""
    one, pids, port = bench(tmp_path, "fault=stubborn")
    assert len(pids) == 3
    assert all(map(alive, pids))

    one.send_signal(number)
    one.wait()
    one.stdout.close()  # type: ignore[union-attr]

    assert gone(pids)
    assert not process.listens(f"http://127.0.0.1:{port}")


def test_a_killed_keeper_takes_the_server_with_it(tmp_path: Path) -> None:
    """The server is tied to the keeper by the kernel too."""
    one, pids, _ = bench(tmp_path)

    os.kill(pids[0], signal.SIGKILL)

    assert gone(pids)
    one.kill()
    one.wait()
    one.stdout.close()  # type: ignore[union-attr]


def test_a_stubborn_tree_is_ended_on_the_way_out(tmp_path: Path) -> None:
    """After the block neither the server nor its child runs, and the port is free."""
    port = process.free_port()
    with process.running(command(port, "fault=stubborn"), HEALTH, STOP, tmp_path / "log", {}) as server:
        pids = [p.pid for p in server.tree()]
        assert len(pids) == 3

    assert not any(map(alive, pids))
    assert "resolved: []" in (tmp_path / "log").read_text()


def test_a_taken_port_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """Another server at the address would be measured in the cell's place."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CellError, match=r"port taken: .* is taken by another server") as raised:
            process.running(command(port), HEALTH, STOP, tmp_path / "log", {}).__enter__()

    assert raised.value.kind == "port taken"
    assert not (tmp_path / "log").exists()


def test_a_command_that_is_not_there_is_told(tmp_path: Path) -> None:
    """The keeper says what cannot be run."""
    missing = Command(arguments=("no-such-engine",), environment={}, address=f"http://127.0.0.1:{process.free_port()}")

    with pytest.raises(CellError, match=r"ended with status 127 .* no-such-engine cannot be run: No such file"):
        process.running(missing, HEALTH, STOP, tmp_path / "log", {}).__enter__()


def test_the_servers_environment_does_not_reach_the_keeper(tmp_path: Path) -> None:
    """A cell may shadow the standard library for its server; the keeper is not touched."""
    (tmp_path / "subprocess.py").write_text("raise SystemExit('shadowed')")
    port = process.free_port()
    plain = command(port)
    shadowed = Command(
        arguments=(plain.arguments[0], "-I", *plain.arguments[1:]),
        environment={"PYTHONPATH": str(tmp_path)},
        address=plain.address,
    )

    with process.running(shadowed, HEALTH, STOP, tmp_path / "log", {}) as server:
        assert server.alive()
