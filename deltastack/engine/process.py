"""A server process: its port is checked before and after, its health awaited, its log kept, its process tree ended.

The server runs under a keeper in a session of its own (``keeper``), so that no process is left however the bench ends.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import httpx
import psutil

from deltastack.engine import calls
from deltastack.engine.faults import FaultKind
from deltastack.errors import CellError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

    from deltastack.engine.declaration import Health, Stop

_KEEPER = Path(__file__).with_name("keeper.py")
"""Run as a file, apart from the environment and the packages of the cell: it needs the standard library alone."""
_CONNECT_S = 1.0
_GRACE_S = 5.0
_TICK_S = 0.02
_SHOWN = 3
"""Last lines of a log that a message repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What is run for one cell: arguments, the variables added to the environment, where the server listens."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    address: str
    end: tuple[str, ...] = ()
    """Run before the signal: what ends a server that runs elsewhere."""

    @property
    def words(self) -> str:
        """The command as a person would type it."""
        variables = " ".join(f"{k}={shlex.quote(v)}" for k, v in self.environment.items())
        return f"{variables} {shlex.join(self.arguments)}".strip()


class Started(NamedTuple):
    """A server that may not answer yet."""

    root: psutil.Process
    """The first process of its tree."""
    poll: Callable[[], int | None]
    """Its status once it has ended, None before."""
    log: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that answers: where, which process tree (None: it was not started here), and its log."""

    address: str
    root: psutil.Process | None
    log: Path | None
    ready_s: float
    """Seconds from the start to the first good health answer."""
    known: tuple[psutil.Process, ...] | None = None
    """The processes as they were found once; None looks for them anew each time, which takes milliseconds."""

    def as_known(self) -> Running:
        """The same server with the processes that it has now."""
        return replace(self, known=tuple(self.tree()))

    def log_text(self) -> str:
        """The log so far."""
        return self.log.read_text(errors="replace") if self.log is not None and self.log.exists() else ""

    def tree(self) -> list[psutil.Process]:
        """The processes that are running, the root first."""
        if self.root is None:
            return []
        if self.known is not None:
            return list(self.known)
        with contextlib.suppress(psutil.NoSuchProcess):
            return [self.root, *self.root.children(recursive=True)]
        return []

    def alive(self) -> bool:
        """Whether the server still runs; True where nobody here can see it."""
        return self.root is None or (self.root.is_running() and self.root.status() != psutil.STATUS_ZOMBIE)

    def ended(self, within_s: float) -> bool:
        """Whether the server ends within a while: connections of a crashed one close before its process is gone."""
        last_s = time.monotonic() + within_s
        while self.alive() and time.monotonic() < last_s:
            time.sleep(_TICK_S)
        return not self.alive()


@contextlib.contextmanager
def running(command: Command, health: Health, stop: Stop, log: Path, headers: Mapping[str, str]) -> Iterator[Running]:
    """The server of ``command``, healthy; its process tree is ended on the way out.

    Raises:
        CellError: The port is taken, the server ended or was not ready in time, or something is left after the stop.
    """
    refuse_taken(command.address)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = kept(command.arguments, command.environment, stop, out.fileno())
    try:
        yield ready(Started(psutil.Process(process.pid), process.poll, log), command.address, health, headers)
    finally:
        _stop(process, command, stop)
    refuse_left(process.pid, command.address)


@contextlib.contextmanager
def attached(address: str, health: Health, headers: Mapping[str, str]) -> Iterator[Running]:
    """A server that somebody else started and ends.

    Raises:
        CellError: It does not answer.
    """
    began_s = time.monotonic()
    while not _answers(address + health.path, headers):
        if time.monotonic() - began_s > health.within_s:
            raise CellError(FaultKind.UNHEALTHY, f"{address}{health.path} did not answer 200 in {health.within_s:g} s")
        time.sleep(health.period_s)
    yield Running(address=address, root=None, log=None, ready_s=time.monotonic() - began_s)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Turn SIGTERM into an exit that runs every ``finally``, so that a running server is ended first."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def free_port() -> int:
    """A port of this machine on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refuse_taken(address: str) -> None:
    """Refuse an address at which a server listens already: the bench would measure *it*.

    Raises:
        CellError: Something listens there.
    """
    if listens(address):
        raise CellError(FaultKind.PORT, f"{address} is taken by another server: end it, or choose another port")


def listens(address: str) -> bool:
    """Whether something accepts connections at ``address``."""
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "127.0.0.1", port), timeout=_CONNECT_S):
            return True
    except OSError:
        return False


def kept(
    arguments: Sequence[str], variables: Mapping[str, str], stop: Stop, log: int, inherited: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """A command under a keeper in a session of its own; closing its input ends it and everything below it.

    Args:
        arguments: The command.
        variables: Added to the environment.
        stop: Which signal ends it, and how long that may take.
        log: Descriptor that takes its output.
        inherited: Further descriptors that it gets.
    """
    keeper = (sys.executable, "-I", "-S", str(_KEEPER), stop.signal, str(stop.within_s), "--")
    return subprocess.Popen(
        [*keeper, *arguments],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=os.environ | dict(variables),
        start_new_session=True,
        pass_fds=tuple(inherited),
    )


def ready(started: Started, address: str, health: Health, headers: Mapping[str, str]) -> Running:
    """A server that was just started and will answer at ``address``, once it is healthy.

    Raises:
        CellError: It ended, or was not ready in time.
    """
    root, poll, log = started
    began_s = time.monotonic()
    while True:
        ended = poll()
        if ended is not None:
            raise CellError(FaultKind.REFUSED, f"the server ended with status {ended} before it was ready: {last_lines(log)}")
        if _answers(address + health.path, headers):
            return Running(address=address, root=root, log=log, ready_s=time.monotonic() - began_s)
        if time.monotonic() - began_s > health.within_s:
            raise CellError(FaultKind.UNHEALTHY, f"not healthy in {health.within_s:g} s: {last_lines(log)}")
        time.sleep(health.period_s)


def _answers(url: str, headers: Mapping[str, str]) -> bool:
    try:
        return calls.call("GET", url, headers, _CONNECT_S).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _stop(process: subprocess.Popen[bytes], command: Command, stop: Stop) -> None:
    """Close the keeper's input and wait until it has ended the tree; kill its whole session if it cannot."""
    if command.end:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(command.end, check=False, capture_output=True, timeout=stop.within_s + _GRACE_S)
    if process.stdin is not None:
        process.stdin.close()
    try:
        process.wait(stop.within_s + _GRACE_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def refuse_left(session: int, address: str) -> None:
    """Refuse to go on where something of a server is left: it would be measured with the next one.

    Raises:
        CellError: A process of its session runs, or something listens at its address.
    """
    left = [p.pid for p in psutil.process_iter() if _session(p.pid) == session]
    if left:
        raise CellError(FaultKind.LEFT_OVER, f"processes {left} outlived the stop")
    if listens(address):
        raise CellError(FaultKind.LEFT_OVER, f"something still listens at {address} after the stop")


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def last_lines(log: Path | None) -> str:
    """The last lines of a log that say something, as one line."""
    if log is None or not log.exists():
        return "it has no log here"
    lines = [x.strip() for x in log.read_text(errors="replace").splitlines() if x.strip()]
    return " / ".join(lines[-_SHOWN:]) or "its log is empty"
