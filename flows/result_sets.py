"""Results by name: a folder with params/ and data/, an MLflow run, or a git revision whose tables are in DVC's cache."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from deltastack.decisions.compare import Side
from deltastack.errors import EvidenceError, UnknownNameError
from tasks import provenance, results

_RUN = re.compile(r"[0-9a-f]{32}")
_WANTED = ("data/workload.json", "data/baseline", "data/joint", "data/delta", "data/quality")


def side(root: Path, name: str, scratch: Path) -> Side:
    """The results called ``name``; what has to be fetched goes below ``scratch``.

    Raises:
        UnknownNameError: Neither a folder, nor a run, nor a revision.
        EvidenceError: Its tables are not at hand.
        TrackingError: The tracking server did not give them.
        ContractError: A table that breaks its contract.
    """
    if Path(name).is_dir():
        folder = Path(name)
    elif _RUN.fullmatch(name):
        from flows import tracking

        folder = tracking.download(root, name, scratch / name)
    else:
        folder = _revision(root, name, scratch / re.sub(r"\W", "_", name))
    return Side(name=name, params=provenance.telling(folder), analysis=results.load(folder))


def _revision(root: Path, name: str, folder: Path) -> Path:
    """Parameters and recorded tables of a git revision, laid out as a checkout has them."""
    commit = _git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if commit is None:
        raise UnknownNameError(f"'{name}' is no folder, no MLflow run id (32 hexadecimal digits) and no git revision of {root}")
    revision = commit.decode().strip()
    listed = (_git(root, "ls-tree", "-r", "--name-only", revision, "--", "params") or b"").decode().split()
    for path in listed:
        _put(folder / path, _git(root, "show", f"{revision}:{path}") or b"")
    lock = _git(root, "show", f"{revision}:dvc.lock")
    if lock is None:
        raise EvidenceError(f"{name} has no dvc.lock, so nothing says which tables are its own: commit dvc.lock after a run")
    cache = _cache(root)
    for path, digest in _outputs(lock).items():
        if path.startswith(_WANTED):
            _fetch(cache / digest[:2] / digest[2:], folder / path, name)
    return folder


def _outputs(lock: bytes) -> dict[str, str]:
    """Path and hash of every output that a dvc.lock records."""
    stages = (yaml.safe_load(lock) or {}).get("stages", {})
    return {o["path"]: str(o["md5"]) for s in stages.values() for o in s.get("outs", ()) if "md5" in o}


def _fetch(source: Path, target: Path, name: str) -> None:
    if not source.is_file():
        raise EvidenceError(
            f"{target.name} of {name} is not in DVC's cache of this machine ({source.name}): run that revision once"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _cache(root: Path) -> Path:
    """Where DVC keeps files by hash."""
    done = subprocess.run([sys.executable, "-m", "dvc", "cache", "dir"], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EvidenceError(f"dvc does not say where its cache is: {done.stderr.strip()[-160:]}")
    return Path(done.stdout.strip().splitlines()[-1]) / "files" / "md5"


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _git(root: Path, *words: str) -> bytes | None:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False)  # noqa: S607 - git is on the path
    return done.stdout if done.returncode == 0 else None
