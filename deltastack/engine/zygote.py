"""A process that imports an engine once and forks one server after the other: a start without the seconds of importing.

``python -P zygote.py CONTROL MAIN MODULE...`` imports the modules, then reads lines of JSON from the inherited socket CONTROL:

* ``{"arguments": [...], "environment": {...}, "log": "..."}`` forks a child that calls MAIN (``module:function``) with these as
  ``sys.argv``, in a session of its own, its output in the log. The answer is ``{"pid": ...}``.
* ``{"end": "TERM", "within_s": 20}`` ends the child and everything below it. The answer is ``{"status": ...}``, null where the
  child ran until then.

One child runs at a time. It inherits what is imported and nothing else: no thread runs at a fork, the socket is closed in it, and
processes that the engine starts are forks too. The zygote ends with its socket, and everything below it with its keeper.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import multiprocessing
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType


def main(words: Sequence[str]) -> int:
    """Serve the socket until its other end closes."""
    control, entry, *modules = words
    with socket.socket(fileno=int(control)) as connection, connection.makefile("rw", encoding="utf-8") as lines:
        os.set_inheritable(connection.fileno(), False)  # noqa: FBT003 - the call has no name for it
        keeper = _keeper()
        keeper.adopt()
        for name in modules:
            importlib.import_module(name)
        module, _, function = entry.partition(":")
        run = getattr(importlib.import_module(module), function)
        gc.collect()
        gc.freeze()  # the collector of a child leaves what is shared alone, so that it stays shared
        _answer(lines, {"threads": len([*Path("/proc/self/task").iterdir()])})
        serve(lines, run, keeper, connection.fileno())
    return 0


def serve(lines: Any, run: Callable[[], object], keeper: ModuleType, control: int) -> None:
    """Answer every line of ``lines``, which come from the descriptor ``control``."""
    child = 0
    for line in lines:
        order = json.loads(line)
        if "end" in order:
            _answer(lines, {"status": _ended(child, order, keeper)})
            child = 0
            continue
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            _be(order, run, keeper, control)
        _answer(lines, {"pid": child})


def _be(order: dict[str, Any], run: Callable[[], object], keeper: ModuleType, control: int) -> None:
    """In the child: become the server; never returns."""
    status = 1
    try:
        os.setsid()
        keeper.tie()
        os.close(control)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for standard in (1, 2):
            os.dup2(log, standard)
        os.close(log)
        os.environ.update(order["environment"])
        sys.argv = list(order["arguments"])
        fork = multiprocessing.get_context("fork")
        multiprocessing.get_context = lambda _=None: fork  # type: ignore[assignment]
        run()
        status = 0
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if isinstance(leaving.code, str):
            print(leaving.code, file=sys.stderr)  # noqa: T201 - as the interpreter does
    except BaseException:  # noqa: BLE001 - whatever it is, the child must not come back as a second zygote
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def _ended(child: int, order: dict[str, Any], keeper: ModuleType) -> int | None:
    """End everything below this process; the status of a child that had ended before, 128 + its signal where one ended it."""
    found, status = os.waitpid(child, os.WNOHANG) if child else (0, 0)
    keeper.end_tree(signal.Signals[f"SIG{order['end']}"], float(order["within_s"]))
    with contextlib.suppress(ChildProcessError):
        while True:  # whatever is left has ended, and waits to be taken away
            os.waitpid(-1, 0)
    code = os.waitstatus_to_exitcode(status)
    return None if not found else 128 - code if code < 0 else code


def _answer(lines: Any, value: dict[str, int | None]) -> None:
    lines.write(json.dumps(value) + "\n")
    lines.flush()


def _keeper() -> ModuleType:
    """The keeper's functions, read as a file: this program runs in the engine's environment, which has no deltastack."""
    spec = importlib.util.spec_from_file_location("deltastack_keeper", Path(__file__).with_name("keeper.py"))
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - it lies beside this file
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
