"""What decides the bytes of a simulated result beside its parameters: the code, its libraries, and the processor's last bits.

Two processes whose ``describe`` is equal give equal bytes for equal work.
"""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np

import deltastack

LIBRARIES = ("numba", "numpy", "pandas", "pydantic", "scipy")
KINDS = {".csv", ".json", ".npz", ".py"}
"""Suffixes of the package's files that decide a result."""
_POINTS = 4096


@cache
def describe() -> dict[str, str]:
    """Versions and hashes by name."""
    versions = {name: metadata.version(name) for name in LIBRARIES}
    return {"deltastack": code(), "python": platform.python_version(), **versions, "arithmetic": arithmetic()}


def differences(wanted: dict[str, str], found: dict[str, str]) -> str:
    """In words, where ``found`` is not as ``wanted``; empty where it is.

    >>> differences({"numpy": "2.4.1", "python": "3.11.9"}, {"numpy": "2.4.2", "python": "3.11.9"})
    'numpy is 2.4.2, here 2.4.1'
    """
    names = sorted(wanted.keys() | found.keys())
    pairs = [(name, wanted.get(name, "absent"), found.get(name, "absent")) for name in names]
    return ", ".join(f"{name} is {theirs}, here {mine}" for name, mine, theirs in pairs if mine != theirs)


def code() -> str:
    """A hash of the package's modules and tables."""
    folder, digest = Path(deltastack.__file__).parent, hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.suffix in KINDS and "__pycache__" not in p.parts):
        name = path.relative_to(folder).as_posix()
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def arithmetic() -> str:
    """A hash of elementary functions over fixed numbers: processors choose other kernels, which differ in the last bit."""
    x = np.linspace(1e-3, 30.0, _POINTS)
    parts = (np.exp(x), np.exp(-x), np.log(x), np.sqrt(x), x**1.7, np.sin(x), np.cumsum(x / 3), np.array([np.sum(x / 7)]))
    return hashlib.sha256(np.concatenate(parts).tobytes()).hexdigest()[:16]
