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
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

import numba
from numba.core.caching import IndexDataCacheFile

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

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
    cache._cache_file = CodeFiles(cache.cache_path, cache._impl.filename_base, _stamp())  # noqa: SLF001 - the same
    return cast("Callable[P, T]", dispatcher)


class CodeFiles(IndexDataCacheFile):  # type: ignore[misc] - numba is not typed
    """Compiled code on disk, one file a signature and no index; what cannot be read is not there."""

    def __init__(self, cache_path: str, filename_base: str, source_stamp: str) -> None:
        """Name the files of one function.

        Args:
            cache_path: The folder.
            filename_base: What the files' names begin with.
            source_stamp: A digest of all that the code is made of.
        """
        super().__init__(cache_path, filename_base, source_stamp)
        self._base = filename_base

    def save(self, key: object, data: object) -> None:
        """Write the code of one signature; a reader sees the whole file or none."""
        content: bytes = self._dump((key, data))
        with self._open_for_write(str(self._file(key))) as f:
            f.write(hashlib.sha256(content).digest() + content)

    def load(self, key: object) -> object | None:
        """The code of one signature; None where it is missing, cut off, changed or of another signature."""
        try:
            raw = self._file(key).read_bytes()
        except OSError:
            return None
        checksum, content = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
        if hashlib.sha256(content).digest() != checksum:
            return None
        found, data = pickle.loads(content)  # noqa: S301 - written by this class, checked above
        return data if found == key else None

    def flush(self) -> None:
        """Forget every signature of this function, of older texts too."""
        for path in Path(self._cache_path).glob(f"{self._base}.*.nbc"):
            path.unlink(missing_ok=True)

    def _file(self, key: object) -> Path:
        """Where the code of one signature lies."""
        name = hashlib.sha256(f"{self._version} {self._source_stamp} {key}".encode()).hexdigest()[:20]
        return Path(self._cache_path) / f"{self._base}.{name}.nbc"


def _stamp() -> str:
    """A digest of the text of all modules of the simulator."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
