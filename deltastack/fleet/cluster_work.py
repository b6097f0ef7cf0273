"""A function on its way to the workers of a cluster, with the params that it reads.

What lies below the checkout travels as a path relative to it, and params/ travels along: a worker needs the same package and
libraries, but no checkout. The params are put into the worker's own folder under their hash, so that equal ones stand there
once. A worker opens what came once and keeps it, so that what a function remembers is remembered there too.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import zlib
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from deltastack.errors import ClusterError
from deltastack.fleet import environment

if TYPE_CHECKING:
    from collections.abc import Callable

PARAMS = "params"
_KEPT_MOST = 4
"""Functions that a worker keeps open; the oldest goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A pickled function, compressed; unpickled where it runs."""

    function: bytes
    files: dict[str, bytes]
    """By path relative to the checkout: its params."""
    digest: str
    """Of both."""
    environment: dict[str, str]
    """Of who sent it."""


def pack(function: Callable[[Any], Any], root: Path) -> Sent:
    """``function``, ready to be sent.

    Args:
        function: Anything that can be pickled.
        root: The checkout; paths below it, and the params in it, are found again where the function is opened.
    """
    out = io.BytesIO()
    _Pickler(out, root).dump(function)
    files = {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted((root / PARAMS).rglob("*")) if p.is_file()}
    pressed = zlib.compress(out.getvalue(), 1)
    return Sent(function=pressed, files=files, digest=_digest(pressed, files), environment=here())


def here() -> dict[str, str]:
    """What this process computes with."""
    return environment.describe()


def call(sent: Sent, item: Any) -> Any:
    """What the function gives for ``item``; runs on a worker.

    Raises:
        ClusterError: The worker has another package or other libraries, or what came is not what was sent.
    """
    from distributed import get_worker

    worker = get_worker()
    return opened(sent, worker.address, Path(worker.local_directory))(item)


_OPEN: dict[str, Callable[[Any], Any]] = {}
_OPENING = Lock()


def opened(sent: Sent, name: str, folder: Path) -> Callable[[Any], Any]:
    """The function, with its params in ``folder``; opened once in this process.

    Args:
        sent: What came.
        name: Of this worker, for messages.
        folder: Of this worker alone.

    Raises:
        ClusterError: As ``call``.
    """
    with _OPENING:
        if sent.digest not in _OPEN:
            refuse_other(here(), sent.environment, name)
            if _digest(sent.function, sent.files) != sent.digest:
                raise ClusterError(f"worker {name}: what came is not what was sent (hash {sent.digest[:16]}); run again")
            _OPEN[sent.digest] = _Unpickler(io.BytesIO(zlib.decompress(sent.function)), _placed(sent, folder)).load()
            for old in list(_OPEN)[:-_KEPT_MOST]:
                del _OPEN[old]
        return _OPEN[sent.digest]


def refuse_other(there: dict[str, str], mine: dict[str, str], name: str) -> None:
    """Refuse a worker that computes with other code or libraries.

    Raises:
        ClusterError: What differs.
    """
    if words := environment.differences(mine, there):
        raise ClusterError(f"worker {name} would give other bytes: {words}; install the same wheel and pins on it")


def _placed(sent: Sent, folder: Path) -> Path:
    """A folder with the params in it, whole or absent; functions with equal params share it."""
    root = folder / f"deltastack-{_digest(b'', sent.files)[:16]}"
    if root.is_dir():
        return root
    part = root.with_suffix(".part")
    part.mkdir(exist_ok=True, parents=True)
    for name, content in sent.files.items():
        path = part / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    part.rename(root)
    return root


def _digest(function: bytes, files: dict[str, bytes]) -> str:
    digest = hashlib.sha256(hashlib.sha256(function).digest())
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0".encode() + hashlib.sha256(content).digest())
    return digest.hexdigest()


class _Pickler(pickle.Pickler):
    def __init__(self, out: io.BytesIO, root: Path) -> None:
        super().__init__(out, protocol=5)
        self._root = root

    def persistent_id(self, obj: Any) -> str | None:
        """A path of the checkout by what comes below it."""
        return obj.relative_to(self._root).as_posix() if isinstance(obj, Path) and obj.is_relative_to(self._root) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, what: io.BytesIO, root: Path) -> None:
        super().__init__(what)
        self._root = root

    def persistent_load(self, pid: str) -> Path:
        """The same below the folder of here."""
        return self._root / pid
