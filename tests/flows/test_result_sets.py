"""Results by name: a folder, a git revision through DVC's cache; and names that are none of these (MLflow: test_tracking)."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from deltastack.cli.main import main
from deltastack.errors import EvidenceError, UnknownNameError
from deltastack.model import Component
from flows import result_sets
from tests.report.project import LAYERS, finished

if TYPE_CHECKING:
    from pathlib import Path

WORSE = LAYERS | {"storage": dict.fromkeys(Component, 0.9)}


def recorded(root: Path) -> None:
    """Put the tables of ``root`` into a DVC cache and a dvc.lock, and commit parameters and lock."""
    outs = []
    for path in sorted(p for p in (root / "data").rglob("*") if p.is_file()):
        digest = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        target = root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        outs.append({"path": path.relative_to(root).as_posix(), "md5": digest})
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"all": {"cmd": "x", "outs": outs}}}))
    (root / ".dvc/config").write_text("[core]\n    analytics = false\n")
    git(root, "init", "-q")
    git(root, "add", "params", "dvc.lock", "dvc.yaml")
    git(root, "commit", "-q", "-m", "results")


def git(root: Path, *words: str) -> None:
    """Git in ``root``, as somebody."""
    command = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b", *words]
    subprocess.run(command, check=True)


def test_folder_and_revision(tmp_path: Path) -> None:
    """The commit of a checkout gives the very results that its folder has, also after the folder went on."""
    root = finished(tmp_path / "here")
    recorded(root)
    was = result_sets.side(root, str(root), tmp_path / "scratch")
    shutil.rmtree(root / "data")
    (root / "params/stack.yaml").write_text("layers: [storage]\n")

    found = result_sets.side(root, "HEAD", tmp_path / "scratch")
    assert found.params == was.params
    assert found.analysis.total.equals(was.analysis.total)


def test_what_cannot_be_found_says_so(tmp_path: Path) -> None:
    """No such name, a revision without dvc.lock, tables that left the cache: each one line."""
    root = finished(tmp_path / "here")
    recorded(root)
    with pytest.raises(UnknownNameError, match="'nobody' is no folder, no MLflow run id"):
        result_sets.side(root, "nobody", tmp_path / "scratch")
    shutil.rmtree(root / ".dvc/cache")
    with pytest.raises(EvidenceError, match="is not in DVC's cache of this machine"):
        result_sets.side(root, "HEAD", tmp_path / "scratch")
    git(root, "rm", "-q", "--cached", "dvc.lock")
    git(root, "commit", "-q", "-m", "no lock")
    with pytest.raises(EvidenceError, match=r"HEAD has no dvc\.lock"):
        result_sets.side(root, "HEAD", tmp_path / "scratch")


@pytest.mark.parametrize(("layers", "said"), [(LAYERS, (0, "no difference resolved")), (WORSE, (1, "worse"))])
def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], layers: object, said: tuple[int, str]
) -> None:
    """Two folders: exit 0 without and 1 with a regression; one JSON value, and Markdown."""
    before, after = finished(tmp_path / "a"), finished(tmp_path / "b", layers)  # type: ignore[arg-type]
    monkeypatch.chdir(after)
    for option in ("--json", "--markdown"):
        monkeypatch.setattr(sys, "argv", ["deltastack", "compare", str(before), option])
        with pytest.raises(SystemExit) as stop:
            main()

        assert int(str(stop.value.code or 0)) == said[0]
        out = capsys.readouterr().out
        words = {t["word"] for t in json.loads(out)["totals"]} if option == "--json" else set(out.split("**")[1].split(", "))
        assert all(said[1] in w for w in words)
