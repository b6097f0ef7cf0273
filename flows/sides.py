"""Results by name: a folder with params/ and data/, an MLflow run, or a git revision.

Of a revision they are looked for where they may be: in DVC's cache, if a dvc.lock is committed there; among the results that
wait for the tracking server; among the runs that it has. The last two count only if they were made at that very commit with
no tracked file changed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from deltastack.errors import EvidenceError, UnknownNameError
from deltastack.report.compare import Side
from tasks import aggregate, outbox, provenance

_RUN = re.compile(r"[0-9a-f]{32}")
_WANTED = ("data/workload.json", "data/baseline.parquet", "data/joint", "data/delta", "data/quality")


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
    return Side(name=name, params=provenance.telling(folder), results=aggregate.load(folder))


def _revision(root: Path, name: str, folder: Path) -> Path:
    """Parameters and tables of a git revision, laid out as a checkout has them."""
    found = _git(root, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if found is None:
        raise UnknownNameError(f"'{name}' is no folder, no MLflow run id (32 hexadecimal digits) and no git revision of {root}")
    commit = found.decode().strip()
    lock = _git(root, "show", f"{commit}:dvc.lock")
    missing = "it has no dvc.lock" if lock is None else _recorded(root, commit, lock, folder)
    if missing is None:
        return folder
    kept = _waiting(root, commit) or _tracked(root, commit, folder.with_name(f"{folder.name}_tracked"))
    if kept is None:
        raise EvidenceError(
            f"no results of {name} ({commit[:12]}) are kept: {missing}, and no run was made at that commit with its files "
            f"unchanged. Make one beside this checkout and name its folder: git worktree add ../at-{commit[:8]} {commit[:8]} "
            f"&& make -C ../at-{commit[:8]} run && deltastack compare ../at-{commit[:8]}"
        )
    return kept


def _recorded(root: Path, commit: str, lock: bytes, folder: Path) -> str | None:
    """Bring what a committed dvc.lock records into ``folder``; what is missing in words, or None."""
    cache = _cache(root)
    wanted = {path: digest for path, digest in _outputs(lock).items() if path.startswith(_WANTED)}
    for path, digest in wanted.items():
        source, target = cache / digest[:2] / digest[2:], folder / path
        if not source.is_file():
            return f"{path} is not in DVC's cache of this machine"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    if not wanted:
        return "its dvc.lock records no tables"
    for path in (_git(root, "ls-tree", "-r", "--name-only", commit, "--", "params") or b"").decode().split():
        _put(folder / path, _git(root, "show", f"{commit}:{path}") or b"")
    return None


def _waiting(root: Path, commit: str) -> Path | None:
    """The newest results made at ``commit`` that the tracking server has not taken yet."""
    for path in reversed(outbox.pending(root)):
        tags = outbox.read(path).get("tags", {})
        if (tags.get("git.commit"), tags.get("git.dirty")) == (commit, "false"):
            return path.with_suffix("")
    return None


def _tracked(root: Path, commit: str, folder: Path) -> Path | None:
    """The newest tracked run made at ``commit``, brought into ``folder``."""
    from flows import tracking

    run = tracking.made_at(root, commit)
    return None if run is None else tracking.download(root, run, folder)


def _outputs(lock: bytes) -> dict[str, str]:
    """Path and hash of every output that a dvc.lock records."""
    stages = (yaml.safe_load(lock) or {}).get("stages", {})
    return {o["path"]: str(o["md5"]) for s in stages.values() for o in s.get("outs", ()) if "md5" in o}


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
