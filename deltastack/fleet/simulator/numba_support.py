"""How the loop is compiled: free of the interpreter's lock, no allocation, and cached on disk by what it says.

A compiled function contains those it calls, but numba's cache only looks at the file of the outermost one. The
entry point is therefore stamped with the text of every module beside this one: a change in any of them, and
nothing else, compiles it again.

numba writes an index and then the code that it names, so that a kill between the two, or two processes at once, can leave an
index beside code of another text or signature. Here each signature has one file, named by the stamp and the signature, which
carries its key and a checksum. A file that is broken is compiled again.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import numba
from numba.core import serialize

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_dumps: Callable[[object], bytes] = serialize.dumps
_CHECKSUM_BYTES = hashlib.sha256().digest_size
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False}
"""``_nrt`` off: numba refuses to allocate, and counts no references (most of the loop's time otherwise)."""


def compiled(function: Callable[P, T]) -> Callable[P, T]:
    """The same function as machine code, typed like the original; laid out inside its callers, which halves their time."""
    return cast("Callable[P, T]", numba.njit(forceinline=True, **_OPTIONS)(function))


def entry(function: Callable[P, T]) -> Callable[P, T]:
    """As ``compiled``, and kept on disk for the next process."""
    dispatcher: Any = numba.njit(cache=True, **_OPTIONS)(function)
    cache = dispatcher._cache  # noqa: SLF001 - numba has no public way to say what a cache depends on, or how it is kept
    cache._cache_file = CodeFiles(Path(cache.cache_path), cache._impl.filename_base, _stamp())  # noqa: SLF001 - the same
    return cast("Callable[P, T]", dispatcher)


@dataclass(frozen=True, slots=True)
class CodeFiles:
    """Compiled code of one function on disk, one file a signature and no index; what cannot be read is not there."""

    folder: Path
    base: str
    """What the files' names begin with."""
    stamp: str
    """A digest of all that the code is made of."""

    def save(self, key: object, data: object) -> None:
        """Write the code of one signature; a reader sees the whole file or none."""
        content = _dumps((key, data))
        path = self.file(key)
        part = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
        try:
            part.write_bytes(hashlib.sha256(content).digest() + content)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def load(self, key: object) -> object | None:
        """The code of one signature; None where it is missing, cut off, changed or of another signature."""
        try:
            raw = self.file(key).read_bytes()
        except OSError:
            return None
        checksum, content = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
        if hashlib.sha256(content).digest() != checksum:
            return None
        found, data = pickle.loads(content)  # noqa: S301 - written by this class, checked above
        return cast("object", data) if found == key else None

    def flush(self) -> None:
        """Forget every signature of this function, of older texts too."""
        for path in self.folder.glob(f"{self.base}.*.nbc"):
            path.unlink(missing_ok=True)

    def file(self, key: object) -> Path:
        """Where the code of one signature lies."""
        name = hashlib.sha256(f"{numba.__version__} {self.stamp} {key}".encode()).hexdigest()[:20]
        return self.folder / f"{self.base}.{name}.nbc"


def _stamp() -> str:
    """A digest of the text of all modules of the simulator."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
