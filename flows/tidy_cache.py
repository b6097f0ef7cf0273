"""Retention in DVC's cache: what dvc.lock names stays, now and in every commit, and what the newest runs of each stage wrote.

``dvc gc`` knows the first two alone, so that a nightly run would forget the tables of every other setting. A cache that lies
outside the checkout is shared, and is left alone.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import yaml

from flows import dvc_adapter, dvc_repair
from tasks import tidy

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

STORE = "DVC's cache"
_DIRECTORY = ".dir"


def cache(root: Path, most: int, *, apply: bool) -> tidy.Kept:
    """Drop what neither a lock nor one of the newest ``most`` runs of a stage names, and the records that name it.

    Args:
        root: The checkout; its graph must be held (``process_group.turn``).
        most: Runs of each stage whose tables stay.
        apply: False counts alone.
    """
    place = dvc_adapter.cache(root)
    if not place.is_relative_to(root.resolve()):
        return tidy.Kept(STORE, 0, 0, 0, 0, f"shared, left alone: {place}")
    named = {*_of_lock(dvc_repair.read_lock(root / "dvc.lock") or {}), *_of_commits(root), *tidy.kept_outputs(root, most)}
    named |= _inside(place, named)
    objects = {p.parent.name + p.name: p for p in place.glob("??/*") if p.is_file()}
    old = [path for digest, path in objects.items() if digest not in named]
    gone = objects.keys() - named
    records = [p for p in (place.parents[1] / "runs").glob("??/*/*") if p.is_file()]
    stale = [p for p in records if gone & set(_of_outs(_yaml(p.read_text()).get("outs", ())))]
    byte = sum(map(tidy.size, (*objects.values(), *records)))
    count, freed = tidy.drop([*old, *stale], apply=apply)
    return tidy.Kept(STORE, len(objects) + len(records), count, byte, freed)


def _of_lock(stages: dict[str, Any]) -> set[str]:
    return {digest for stage in stages.values() for digest in _of_outs((*stage.get("outs", ()), *stage.get("deps", ())))}


def _of_outs(outs: Iterable[Any]) -> list[str]:
    return [str(out["md5"]) for out in outs if isinstance(out, dict) and "md5" in out]


def _of_commits(root: Path) -> set[str]:
    """What the dvc.lock of any commit, branch or tag names; none outside a git repository."""
    listed = _git(root, "log", "--all", "--format=%H", "--", "dvc.lock")
    return {x for commit in listed.split() for x in _of_lock(_yaml(_git(root, "show", f"{commit}:dvc.lock")).get("stages", {}))}


def _inside(place: Path, named: set[str]) -> set[str]:
    """The files of the folders among ``named``."""
    found: set[str] = set()
    for digest in (n for n in named if n.endswith(_DIRECTORY)):
        path = place / digest[:2] / digest[2:]
        if path.is_file():
            found |= {str(entry["md5"]) for entry in json.loads(path.read_text())}
    return found


def _yaml(text: str) -> dict[str, Any]:
    content = yaml.load(text, Loader=dvc_repair.LOADER)  # noqa: S506 - both loaders are the safe ones
    return content if isinstance(content, dict) else {}


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)  # noqa: S607 - git is on the path
    return done.stdout if done.returncode == 0 else ""
