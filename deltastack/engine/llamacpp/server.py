"""llama.cpp's server in this process, until it is told to end: ``python -m deltastack.engine.llamacpp.server --model FILE``.

It answers ``/health``, ``/props``, ``/slots``, ``/metrics``, ``/completion`` and ``/v1/chat/completions``. Each ``--set`` names
an attribute of the engine's parameters; an unknown one is refused by name before anything loads. The engine's log goes to
stderr and says what it resolved. Stdout has each setting as the engine's parameters hold it, then where the server listens.

SIGTERM and SIGINT end it with status 0. The process leaves by ``os._exit``: the engine's own threads have no other end.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltastack.engine.llamacpp import settings
from deltastack.errors import DeltastackError, ParamsError, PreflightError

if TYPE_CHECKING:
    from collections.abc import Sequence

ALWAYS = {"fit_params": "false", "endpoint_metrics": "true", "endpoint_slots": "true", "ui": "false", "verbosity": "4"}
"""What the bench needs of every cell: nothing chosen by free memory, counters, slots, and a log that names what resolved."""
_LOOK_AGAIN_S = 0.5


def main(words: Sequence[str] | None = None) -> int:
    """Serve until a signal; the exit status."""
    args = _parser().parse_args(words)
    parent = os.getppid()
    if args.pin:
        pin()
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))  # before the engine's threads, which inherit it
    try:
        chosen = settings.split(args.set)
        server, params = start(args.model, args.mmproj, args.host, args.port, chosen)
    except DeltastackError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201 - this is a program
        return error.exit_code
    told = [f"set {key}={settings.words(params, key)}" for key in sorted(chosen)]
    _say([*told, f"listening {server.listening_address}"])
    _wait(parent if args.with_parent else None)
    sys.stderr.flush()
    os._exit(0)


def _say(lines: Sequence[str]) -> None:
    """Write whole lines in one piece: the engine's threads write to the same log."""
    sys.stdout.flush()
    sys.stdout.write("\n" + "".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def pin() -> None:
    """Stay on the last processor that this process may use; threads that start later inherit it. Nothing where there is one."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) > 1:
        os.sched_setaffinity(0, allowed[-1:])
    print(f"pinned {allowed[-1]}")  # noqa: T201 - this is a program


def start(model: Path, mmproj: Path | None, host: str, port: int, chosen: dict[str, str]) -> tuple[Any, Any]:
    """The engine's server, listening, and its parameters as it has them.

    Raises:
        PreflightError: The engine is not installed, the port is taken, or the engine refused to start.
        ParamsError: A missing file, or a setting that does not hold.
        UnknownNameError: A setting that this engine does not have.
    """
    try:
        import xllamacpp
    except ImportError as error:
        raise PreflightError(
            f"llama.cpp is not installed ({error}): pip install -c constraints.txt 'deltastack[engine]'"
        ) from error
    params = xllamacpp.CommonParams()
    files = {"model.path": model} | ({"mmproj.path": mmproj} if mmproj else {})
    for name, file in files.items():
        if not file.is_file():
            raise ParamsError(f"no file {file} for {name}: python -m deltastack.engine.llamacpp.models FOLDER writes the models")
    place = {"hostnames": host, "port": str(port)} | {k: str(v) for k, v in files.items()}
    both = place.keys() & chosen.keys()
    if both:
        raise ParamsError(f"setting '{min(both)}' has a flag of its own: --model, --mmproj, --host or --port")
    for key, value in (ALWAYS | chosen | place).items():
        settings.put(params, key, value)
    _refuse_taken(host, port)
    try:
        return xllamacpp.Server(params), params
    except RuntimeError as error:
        raise PreflightError(f"llama.cpp did not start ({error}): the lines marked E above say why") from error


def _refuse_taken(host: str, port: int) -> None:
    """Refuse a port on which another server listens already: the engine itself would share it in silence."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if port and probe.connect_ex((host, port)) == 0:
            raise PreflightError(f"port {port} on {host} is taken by another server: end it or give another --port")


def _wait(parent: int | None) -> None:
    """Return at a signal or, where ``parent`` is given, when that process is gone."""
    while signal.sigtimedwait((signal.SIGINT, signal.SIGTERM), _LOOK_AGAIN_S) is None:
        if parent is not None and os.getppid() != parent:
            return


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deltastack.engine.llamacpp.server", description="llama.cpp's server")
    parser.add_argument("--model", type=Path, required=True, help="the text model (GGUF)")
    parser.add_argument("--mmproj", type=Path, help="vision tower and projector (GGUF)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one; stdout says which")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the engine; may be repeated"
    )
    parser.add_argument("--with-parent", action="store_true", help="end when the process that started this one is gone")
    parser.add_argument("--pin", action="store_true", help="stay on the last processor that this process may use")
    return parser


if __name__ == "__main__":
    sys.exit(main())
