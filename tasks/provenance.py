"""Where results come from: commit, parameters, and the dvc.lock that records them."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING, Any

import yaml

from deltastack.params import read_document

if TYPE_CHECKING:
    from pathlib import Path


TELLING = ("stack", "workload", "fleet", "testbed")
TABLES = ("mix", "variants", "source", "why", "title", "factorials")
"""Keys below which there are published tables, citations and reasons, not choices."""
BETWEEN = ("techniques", "params")
"""Keys that only hold others: they are left out of a name."""


def commit(root: Path) -> str | None:
    """The commit that is checked out; None outside a git repository."""
    return _git(root, "rev-parse", "HEAD")


def dirty(root: Path) -> str | None:
    """``true`` if a tracked file other than dvc.lock differs from the commit, else ``false``; None outside git."""
    found = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock")
    return None if found is None else str(bool(found)).lower()


def params(root: Path) -> dict[str, Any]:
    """The content of every YAML file below params/, by path: ``stack``, ``layers/idle``.

    Raises:
        ParamsError: One that cannot be read.
    """
    folder = root / "params"
    return {p.relative_to(folder).with_suffix("").as_posix(): read_document(p) or {} for p in sorted(folder.rglob("*.yaml"))}


def layers(root: Path) -> list[str]:
    """The layers that are on."""
    found: list[str] = params(root).get("stack", {}).get("layers", [])
    return found


def scene(root: Path) -> str:
    """The scene of the fleet's headline."""
    return str(params(root).get("stack", {}).get("scene", "assistant"))


def telling(root: Path) -> dict[str, str]:
    """The few parameters that tell runs apart: the stack, the workload, the deployment, the layers that are on.

    A range counts with its value, a list of names as one. Platforms, published mixes and other tables are covered by the hash
    alone.
    """
    content = params(root)
    names = [*TELLING, *(f"layers/{layer}" for layer in layers(root)), f"scenes/{scene(root)}"]
    flat: dict[str, str] = {}
    for name in names:
        _collect(content.get(name, {}), name.removeprefix("layers/").removeprefix("scenes/"), flat)
    return flat


def params_hash(root: Path) -> str:
    """A hash of all values below params/; comments and layout do not count."""
    return hashlib.sha256(yaml.safe_dump(params(root), sort_keys=True).encode()).hexdigest()


def lock_hash(root: Path, out: Path) -> str | None:
    """The hash of dvc.lock, if it records the very ``out`` that is in the working tree; else None.

    While the stage that writes ``out`` still runs, dvc.lock describes what was there before.
    """
    lock, path = root / "dvc.lock", root / out
    if not lock.is_file() or not path.is_file():
        return None
    content = lock.read_bytes()
    md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    return hashlib.sha256(content).hexdigest() if md5.encode() in content else None


def _collect(value: Any, name: str, flat: dict[str, str]) -> None:
    if isinstance(value, dict):
        if "value" in value:
            _collect(value["value"], name, flat)
            return
        for key, inner in value.items():
            if key not in TABLES:
                _collect(inner, name if key in BETWEEN else f"{name}.{_said(key)}", flat)
    elif isinstance(value, list) and all(isinstance(v, str) for v in value):
        flat[name] = "+".join(value)
    elif isinstance(value, str | int | float):
        flat[name] = str(value)


def _said(key: object) -> str:
    """A key as it is written: YAML 1.1 reads ``on`` as true."""
    return "on" if key is True else str(key)


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)  # noqa: S607 - git is on the path
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
