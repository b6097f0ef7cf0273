"""One value on stdout, words on stderr, and the exit codes.

0 ok, 1 failure, 2 usage or params, 3 refused (resources), 4 quality limit, 5 composition fails,
6 cannot be told, 130 interrupted.
"""

from __future__ import annotations

import json
import math
import os
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import typer

from deltastack.errors import DeltastackError, InputError, of_system

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

WIDTH = 80
"""Columns of a line of words."""
USAGE = 2
QUALITY_LIMIT = 4
COMPOSITION_FAILS = 5
CANNOT_BE_TOLD = 6
INTERRUPTED = 130
REFUSED = 3
EXTRAS = {
    "cluster": ("dask", "distributed"),
    "graph": ("altair", "dvc", "filelock", "mlflow", "networkx", "prefect", "ruamel", "SALib", "vl_convert"),
    "engine": ("gguf", "httpx", "PIL", "xllamacpp"),
    "testbed": ("safetensors", "sklearn", "torch", "transformers"),
}
"""The extra of pyproject.toml that brings a package."""
_NO_NUMBER = "Input should be a valid number, unable to parse string as a number"


def emit_json(value: Any) -> None:
    """Print ``value`` as the one JSON value on stdout; NaN and infinities are refused."""
    json.dump(_finite(value), sys.stdout, indent=2, allow_nan=False, ensure_ascii=False)
    sys.stdout.write("\n")


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path``.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); name another file") from error


def console(*, soft_wrap: bool = False, highlight: bool = True) -> Console:
    """Stdout as Rich writes it; ``[text in brackets]`` of files and names stays what it is."""
    from rich.console import Console

    return Console(markup=False, soft_wrap=soft_wrap, highlight=highlight)


def tell(text: str) -> None:
    """Print ``text`` on stdout in lines of at most ``WIDTH`` columns; what a line has too much goes on below, further in."""
    typer.echo(wrapped(text))


def wrapped(text: str) -> str:
    """``text`` in lines of at most ``WIDTH`` columns; only words longer than that stick out.

    >>> wrapped("  also: " + "storage " * 12).splitlines()[1]
    '    storage storage storage'
    """
    lines = []
    for line in text.splitlines():
        inner = " " * (len(line) - len(line.lstrip()))
        lines += textwrap.wrap(line, WIDTH, subsequent_indent=f"{inner}  ", break_long_words=False, break_on_hyphens=False) or [
            ""
        ]
    return "\n".join(lines)


def say(text: str) -> None:
    """Print words for a person on stderr; what a file holds cannot move the cursor or colour the terminal."""
    sys.stderr.write(f"{printable(text)}\n")


def printable(text: str) -> str:
    r"""``text`` with control characters and lone surrogates written out.

    >>> printable("a\x1b[2J")
    'a\\x1b[2J'
    """
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def exit_code_of(app: typer.Typer) -> int:
    """Run ``app``; print expected failures as one line on stderr and return the exit code."""
    from typer.exceptions import TyperException

    try:
        code = app(standalone_mode=False)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except TyperException as error:
        return _usage(error)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except (ModuleNotFoundError, DeltastackError, OSError, MemoryError) as error:
        return _failed(error)
    if code == INTERRUPTED:
        say("interrupted")
    return code if isinstance(code, int) else 0


def _failed(error: ModuleNotFoundError | DeltastackError | OSError | MemoryError) -> int:
    """One line for what a person, the data or the machine can mend."""
    if isinstance(error, ModuleNotFoundError):
        return _not_installed(error)
    if isinstance(error, BrokenPipeError):
        return _closed()
    if not isinstance(error, DeltastackError):
        return _refused_by_the_machine(error)
    say(f"deltastack: {error}")
    for note in getattr(error, "__notes__", ()):
        say(f"  {note}")
    return error.exit_code


def _refused_by_the_machine(error: OSError | MemoryError) -> int:
    """One line for a full disk, a folder of another's, no memory; what is no such thing is a fault, and is raised."""
    known = of_system(error)
    if known is None:
        raise error
    say(f"deltastack: {known}")
    return known.exit_code


def _closed() -> int:
    """The reader of stdout is gone, as with ``| head``: nobody wants the rest."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _not_installed(error: ModuleNotFoundError) -> int:
    """One line that names the extra which brings a missing package; a module of our own is a fault, and is raised."""
    package = (error.name or "").split(".")[0]
    extra = next((extra for extra, packages in EXTRAS.items() if package in packages), None)
    if extra is None:
        raise error
    say(f"deltastack: this needs {package}, which is not installed; pip install 'deltastack[{extra}]'")
    return REFUSED


def _usage(error: Exception) -> int:
    """One line for a wrong flag or value; the help page for a command without any."""
    words: str = error.format_message() if hasattr(error, "format_message") else str(error)
    words = words.replace(_NO_NUMBER, "wanted a number; a fraction is written 0.15, not 15 %")
    if words.startswith("Usage:"):
        say(words)
    else:
        say(f"deltastack: {' '.join(words.split())} (--help lists what there is)")
    return USAGE


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        msg = f"a number that is not finite has no place in an answer: {value}"
        raise ValueError(msg)
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return value
