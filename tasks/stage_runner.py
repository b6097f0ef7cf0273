"""How a stage starts: the guard around every ``python -m tasks.NAME [ARG]``.

A task module ends with these two lines (a measured stage adds ``measured=True``)::

    if __name__ == "__main__":
        entry.main("estimate", run)  # run(root: Path, layer: str) -> None

``main`` finds the project's root, dies with the DVC process that started it, holds an OS lock for the
stage (a measured stage: one for the whole machine), sets up logging, and leaves a receipt, by which the
flow tells a stage that ran from one that DVC restored. An expected error is one line and an exit code.
"""

from __future__ import annotations

import ctypes
import fcntl
import inspect
import json
import logging
import os
import signal
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from deltastack import home, machine_fingerprint
from deltastack.errors import DeltastackError, InputError, of_system

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = "DELTASTACK_TOKEN"  # noqa: S105 - the name of a variable that marks one attempt, not a secret
"""Environment variable: which attempt of which run started the stage."""
STARTED_BY = "DELTASTACK_DVC_PID"
"""Environment variable: the DVC process whose death ends the stage."""
INTERRUPTED = 130
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

log = logging.getLogger("deltastack.tasks")


def main(stage: str, run: Callable[..., None], *, measured: bool = False) -> NoReturn:
    """Run one stage under its guard and exit.

    Args:
        stage: The stage's name in dvc.yaml, without ``@ARG``.
        run: Takes the root, and as many words more as the command line must have.
        measured: Hold the lock of the whole machine, so that two clones never measure at once.
    """
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
    sys.exit(_guarded(stage, run, sys.argv[1:], measured=measured))


def root_from(start: Path) -> Path:
    """The checkout that ``start`` lies in; as ``home.checkout``.

    Raises:
        PreflightError: There is none.
    """
    return home.checkout(start)


def die_with_parent(number: int, parent_pid: int) -> None:
    """Ask the kernel to send signal ``number`` to this process when its parent ends (Linux; elsewhere locks are the net).

    Ends this process at once if ``parent_pid`` is already gone.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    try:
        os.kill(parent_pid, 0)
    except ProcessLookupError:
        os.kill(os.getpid(), number)


@contextmanager
def lock(path: Path, waiting: str, say: Callable[[str], object] = log.info) -> Iterator[None]:
    """Hold the OS lock at ``path``; the kernel frees it when the process ends, however it ends.

    Args:
        path: Made if absent, never removed. Its content names the holder, for people.
        waiting: Said once if another process holds it.
        say: Who hears it.
    """
    handle = _open_shared(path)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{waiting} (held by {path.read_text().strip() or 'unknown'})")
            fcntl.flock(handle, fcntl.LOCK_EX)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()} in {Path.cwd()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def machine_lock() -> Path:
    """The lock that every checkout on this machine shares for measuring."""
    return Path(tempfile.gettempdir()) / "deltastack-measuring.lock"


def receipt(root: Path, stage: str) -> Path:
    """Where the last successful run of ``stage`` left its token, start, seconds and host."""
    return root / ".run" / "receipts" / f"{stage}.json"


def failure(root: Path, stage: str) -> Path:
    """Where the last failed run of ``stage`` left its token, message and exit code."""
    return root / ".run" / "receipts" / f"{stage}.failed.json"


def write(path: Path, text: str) -> None:
    """Write a small text file whole or not at all; without the tables' reader, which takes a second to import."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        Path(part).chmod(0o644)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _guarded(stage: str, run: Callable[..., None], words: list[str], *, measured: bool) -> int:
    """Run under the guard; the exit code."""
    try:
        root = root_from(Path.cwd())
        name = _full_name(stage, run, words)
        if "DVC_STAGE" in os.environ:
            die_with_parent(signal.SIGKILL, int(os.environ.get(STARTED_BY, os.getppid())))
        _under_locks(root, name, run, words, measured=measured)
    except DeltastackError as error:
        _tell(error)
        return error.exit_code
    except (OSError, MemoryError) as error:
        if (known := of_system(error)) is None:
            raise
        _tell(known)
        return known.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _full_name(stage: str, run: Callable[..., None], words: list[str]) -> str:
    """``stage`` or ``stage@word``, as DVC calls it; refuses a wrong number of words."""
    wanted = list(inspect.signature(run).parameters)[1:]
    if len(words) != len(wanted):
        usage = " ".join([stage, *(w.upper() for w in wanted)])
        raise InputError(f"usage: python -m tasks.{usage} (given: {' '.join(words) or 'nothing'})")
    return f"{stage}@{'-'.join(words)}" if words else stage


def _under_locks(root: Path, name: str, run: Callable[..., None], words: list[str], *, measured: bool) -> None:
    path = machine_lock() if measured else root / ".run" / "locks" / f"{name}.lock"
    waiting = "another measurement runs on this machine, waiting" if measured else f"another process runs {name}, waiting"
    with lock(path, waiting):
        started, clock = datetime.now(UTC), time.perf_counter()
        try:
            run(root, *words)
        except (DeltastackError, OSError, MemoryError) as error:
            known = error if isinstance(error, DeltastackError) else of_system(error)
            if known is not None:
                words_of_it = {"message": str(known), "exit_code": known.exit_code}
                with suppress(OSError):  # a full disk takes no receipt either; the exit code says it
                    _receipt(failure(root, name), name, started, clock, words_of_it)
            raise
        _receipt(receipt(root, name), name, started, clock, {"host": machine_fingerprint.fingerprint()})


def _receipt(path: Path, name: str, started: datetime, clock: float, more: dict[str, Any]) -> None:
    entry = {
        "stage": name,
        "token": os.environ.get(TOKEN),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - clock, 3),
        **more,
    }
    write(path, json.dumps(entry, indent=2, allow_nan=False) + "\n")


def _open_shared(path: Path) -> int:
    """A descriptor on ``path`` that every user of this machine may share."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return os.open(path, os.O_RDWR | os.O_NOFOLLOW)  # /tmp is everybody's: never write through another's link
    except FileNotFoundError:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            path.chmod(0o666)
        except PermissionError:
            log.debug("%s belongs to another user", path)
        return handle


def _tell(error: DeltastackError) -> None:
    sys.stderr.write(f"deltastack: {error}\n")
    for note in getattr(error, "__notes__", ()):
        sys.stderr.write(f"  {note}\n")
