"""How the loop is compiled: free of the interpreter's lock, no allocation, and cached on disk by what it says.

A compiled function contains those it calls, but numba's cache only looks at the file of the outermost one. The
entry point is therefore stamped with the text of every module beside this one: a change in any of them, and
nothing else, compiles it again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import numba

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
"""``_nrt`` off: numba refuses to allocate, and counts no references (most of the loop's time otherwise)."""


def compiled(function: Callable[P, T]) -> Callable[P, T]:
    """The same function as machine code, typed like the original; laid out inside its callers, which halves their time."""
    return cast("Callable[P, T]", numba.njit(forceinline=True, **_OPTIONS)(function))


def entry(function: Callable[P, T]) -> Callable[P, T]:
    """As ``compiled``, and kept on disk for the next process."""
    dispatcher: Any = numba.njit(cache=True, **_OPTIONS)(function)
    dispatcher._cache._cache_file._source_stamp = _stamp()  # noqa: SLF001 - numba has no public way to say what a cache depends on
    return cast("Callable[P, T]", dispatcher)


def _stamp() -> str:
    """A digest of the text of all modules of the simulator."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
