"""A keeper process between the bench and a server: whatever ends the bench, the server's whole process tree ends too.

``python -I -S keeper.py SIGNAL WITHIN_S -- COMMAND...`` runs the command and ends with its status. It ends the tree
when its own standard input closes, which the kernel does however the bench dies (SIGKILL too), or when it gets SIGTERM. On
Linux it adopts processes that their parents left (PR_SET_CHILD_SUBREAPER), so that none escapes. Descriptors that it was told to
inherit reach the command. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_TICK_S = 0.005
_MANY = 512
_LOOK_AGAIN_S = 5.0
"""The keeper sleeps until its input closes or a signal comes: its own work is counted as the server's."""


def main(words: Sequence[str]) -> int:
    """Run the command under this keeper; its exit status, or 128 + the signal that ended it."""
    number, within_s, _, *command = words
    adopt()
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    woken = _woken_by_signals()
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        child = subprocess.Popen(list(command), stdin=subprocess.DEVNULL, close_fds=False, preexec_fn=tie)  # noqa: PLW1509 - no thread runs here
    except OSError as error:
        sys.stderr.write(f"keeper: {command[0]} cannot be run: {error.strerror}\n")
        return 127
    while child.poll() is None and not stopping and not _input_closed(woken):
        continue
    end_tree(signal.Signals[f"SIG{number}"], float(within_s))
    status = child.wait()
    return 128 - status if status < 0 else status


def end_tree(number: signal.Signals, within_s: float) -> None:
    """Signal every process below this one, wait up to ``within_s`` for all to end, then kill what is left."""
    for pid in _below(os.getpid()):
        _signal(pid, number)
    last_s = time.monotonic() + within_s
    while _reaped() and time.monotonic() < last_s:
        time.sleep(_TICK_S)
    while left := _below(os.getpid()):
        for pid in left:
            _signal(pid, signal.SIGKILL)
        if not _reaped():
            return
        time.sleep(_TICK_S)


def _reaped() -> bool:
    """Whether children are left once those that ended are taken away."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return True
    return False


def _below(root: int) -> list[int]:
    """Every process below ``root`` that has not ended, parents first."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(stat.parent.name))
    found, ahead = [], [root]
    while ahead:
        for pid in children.get(ahead.pop(0), []):
            found.append(pid)
            ahead.append(pid)
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _woken_by_signals() -> int:
    """A descriptor that can be read after a signal, also one that comes before anybody waits."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    return woken


def _input_closed(woken: int) -> bool:
    """Wait for a signal or our standard input; whether the bench closed it, or died."""
    ready, _, _ = select.select([0, woken], [], [], _LOOK_AGAIN_S)
    if woken in ready:
        os.read(woken, _MANY)
    return 0 in ready and not os.read(0, 1)


def adopt() -> None:
    """Become the parent of every process below this one that its own parent leaves."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def tie() -> None:
    """In a child: end with its parent, if that is killed itself."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
