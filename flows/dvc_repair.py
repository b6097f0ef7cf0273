"""What a killed run leaves behind in DVC's own files, put right before the next run.

DVC rewrites dvc.lock and its table of readers and writers in place, so that kill -9 can leave half a file,
or entries of processes that are gone. Nothing is deleted: a broken file is set aside in .run/broken/.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import yaml

from tasks import stage_runner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_lock(path: Path) -> dict[str, Any] | None:
    """The stages recorded in the dvc.lock at ``path``; empty if it is absent, None if it is broken."""
    try:
        return _stages(path.read_text())
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError:
        return None


def mend_lock(path: Path, spare: Path, broken: Path) -> str | None:
    """Replace a broken dvc.lock by its spare copy, or by nothing: DVC's run cache then restores the stages.

    Returns:
        What was done, in words; None if there was nothing to do.
    """
    if read_lock(path) is not None:
        return None
    aside = _set_aside(path, broken)
    if read_lock(spare):
        stage_runner.write(path, spare.read_text())
        return f"dvc.lock was broken (a killed run, or half a merge): set aside as {aside}, last good copy restored"
    return f"dvc.lock was broken (a killed run, or half a merge): set aside as {aside}, DVC's cache restores the stages"


def keep_spare(path: Path, spare: Path) -> None:
    """Keep a copy of a whole dvc.lock."""
    text = path.read_text() if path.is_file() else ""
    if _stages(text):
        stage_runner.write(spare, text)


def mend_table(path: Path, broken: Path, alive: Callable[[int], bool]) -> str | None:
    """Drop dead processes from DVC's table of readers and writers; set a broken table aside.

    Args:
        path: ``.dvc/tmp/rwlock``.
        broken: Folder for a table that cannot be read.
        alive: Whether a process of that id is a DVC process.

    Returns:
        What was done, in words; None if there was nothing to do.
    """
    try:
        table = json.loads(path.read_text())
        kept = living(table, alive)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"DVC's table of readers and writers was broken: set aside as {_set_aside(path, broken)}"
    if kept == {"write": table.get("write", {}), "read": {p: i for p, i in table.get("read", {}).items() if i}}:
        return None
    stage_runner.write(path, json.dumps(kept))
    return "entries of processes that are gone removed from DVC's table of readers and writers"


def living(table: dict[str, Any], alive: Callable[[int], bool]) -> dict[str, Any]:
    """``table`` with the entries of living processes only.

    >>> table = {"write": {"a": {"pid": 1}}, "read": {"b": [{"pid": 1}, {"pid": 2}]}}
    >>> living(table, {2}.__contains__)
    {'write': {}, 'read': {'b': [{'pid': 2}]}}
    """
    write = {p: i for p, i in table.get("write", {}).items() if alive(i["pid"])}
    read = {p: [i for i in infos if alive(i["pid"])] for p, infos in table.get("read", {}).items()}
    return {"write": write, "read": {p: infos for p, infos in read.items() if infos}}


def _stages(text: str) -> dict[str, Any] | None:
    try:
        content = yaml.load(text, Loader=LOADER)  # noqa: S506 - both loaders are the safe ones
    except yaml.YAMLError:
        return None
    stages = content.get("stages") if isinstance(content, dict) else None
    return stages if isinstance(stages, dict) else None


def _set_aside(path: Path, broken: Path) -> Path:
    broken.mkdir(parents=True, exist_ok=True)
    return path.replace(broken / f"{path.name}.{time.time_ns()}")
