"""Where results come from: commit, parameters, and the dvc.lock that records them."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path


def commit(root: Path) -> str | None:
    """The commit that is checked out; None outside a git repository."""
    return _git(root, "rev-parse", "HEAD")


def dirty(root: Path) -> str | None:
    """``true`` if a tracked file other than dvc.lock differs from the commit, else ``false``; None outside git."""
    found = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!dvc.lock")
    return None if found is None else str(bool(found)).lower()


def params(root: Path) -> dict[str, Any]:
    """The content of params/*.yaml by file name."""
    return {p.stem: yaml.safe_load(p.read_text()) or {} for p in _params_files(root)}


def params_hash(root: Path) -> str:
    """A hash of the values in params/*.yaml; comments and layout do not count."""
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


def _params_files(root: Path) -> list[Path]:
    return sorted((root / "params").glob("*.yaml"))


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)  # noqa: S607 - git is on the path
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
