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

from cli.main import main
from deltastack.errors import EvidenceError, UnknownNameError
from deltastack.model import Component
from flows import sides
from tasks import outbox
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
    committed(root, "params", "dvc.lock", "dvc.yaml")


def committed(root: Path, *paths: str) -> None:
    """Commit ``paths`` in a repository that is made if need be."""
    git(root, "init", "-q")
    git(root, "add", *paths)
    git(root, "commit", "-q", "-m", "results")


def other_tables(root: Path, layers: object) -> None:
    """Replace the tables and parameters of ``root`` by those of other planted layers."""
    new = finished(root.parent / "new", layers, tolerance=0.03)  # type: ignore[arg-type]
    for name in ("data", "params"):
        shutil.rmtree(root / name)
        shutil.move(new / name, root / name)
    shutil.rmtree(new)


def git(root: Path, *words: str) -> None:
    """Git in ``root``, as somebody."""
    command = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b", *words]
    subprocess.run(command, check=True)


def run(monkeypatch: pytest.MonkeyPatch, root: Path, *words: str) -> int:
    """The exit code of ``deltastack WORDS`` in ``root``."""
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["deltastack", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(str(stop.value.code or 0))


def test_two_revisions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A real repository, two commits of results: the later saves 12 points less; the other way round it is better."""
    root = finished(tmp_path / "here")
    recorded(root)
    other_tables(root, WORSE)
    recorded(root)
    shutil.rmtree(root / "data")

    assert run(monkeypatch, root, "compare", "HEAD~1", "HEAD", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert {t["word"] for t in found["totals"]} == {"worse"}
    assert found["totals"][0]["delta_of_delta"] == pytest.approx(-0.95 * 0.1)
    assert found["params"] == {"stack.tolerance": {"before": "0.02", "after": "0.03"}}
    assert run(monkeypatch, root, "compare", "HEAD", "HEAD~1") == 0
    assert "better" in capsys.readouterr().out


def test_revisions_whose_results_still_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No dvc.lock is committed, as in a plain checkout: results that wait for the tracking server count for their commit."""
    root = finished(tmp_path / "here")
    (root / "reports").mkdir()
    for n, layers in enumerate((LAYERS, WORSE)):
        if n:
            other_tables(root, layers)
        (root / "reports/metrics.json").write_text(json.dumps({"canonical": True}))
        committed(root, "params", "dvc.yaml")
        outbox.put(root)

    assert run(monkeypatch, root, "compare", "HEAD~1", "HEAD") == 1
    assert "worse" in capsys.readouterr().out


def test_results_of_changed_files_are_not_the_commits(tmp_path: Path) -> None:
    """Results made with a tracked file changed belong to no commit: nothing is kept, and the remedy can be typed."""
    root = finished(tmp_path / "here")
    (root / "reports").mkdir()
    (root / "reports/metrics.json").write_text(json.dumps({"canonical": True}))
    committed(root, "params", "dvc.yaml")
    (root / "params/stack.yaml").write_text((root / "params/stack.yaml").read_text() + "# changed\n")
    outbox.put(root)

    with pytest.raises(
        EvidenceError, match=r"no results of HEAD \([0-9a-f]{12}\) are kept: it has no dvc\.lock, and no run was"
    ) as no:
        sides.side(root, "HEAD", tmp_path / "scratch")
    assert "git worktree add ../at-" in str(no.value)
    assert "\n" not in str(no.value)


def test_folder_and_revision(tmp_path: Path) -> None:
    """The commit of a checkout gives the very results that its folder has, also after the folder went on."""
    root = finished(tmp_path / "here")
    recorded(root)
    was = sides.side(root, str(root), tmp_path / "scratch")
    shutil.rmtree(root / "data")
    (root / "params/stack.yaml").write_text("layers: [storage]\n")

    found = sides.side(root, "HEAD", tmp_path / "scratch")
    assert found.params == was.params
    assert found.results.total.equals(was.results.total)  # type: ignore[union-attr]


def test_what_cannot_be_found_says_so(tmp_path: Path) -> None:
    """No such name, and tables that left the cache: each one line."""
    root = finished(tmp_path / "here")
    recorded(root)
    with pytest.raises(UnknownNameError, match="'nobody' is no folder, no MLflow run id"):
        sides.side(root, "nobody", tmp_path / "scratch")
    shutil.rmtree(root / ".dvc/cache")
    with pytest.raises(EvidenceError, match="is not in DVC's cache of this machine"):
        sides.side(root, "HEAD", tmp_path / "scratch")


@pytest.mark.parametrize(("layers", "said"), [(LAYERS, (0, "no difference resolved")), (WORSE, (1, "worse"))])
def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], layers: object, said: tuple[int, str]
) -> None:
    """Two folders: exit 0 without and 1 with a regression; one JSON value, and Markdown."""
    before, after = finished(tmp_path / "a"), finished(tmp_path / "b", layers)  # type: ignore[arg-type]
    for option in ("--json", "--markdown"):
        assert run(monkeypatch, after, "compare", str(before), option) == said[0]
        out = capsys.readouterr().out
        words = {t["word"] for t in json.loads(out)["totals"]} if option == "--json" else set(out.split("**")[1].split(", "))
        assert all(said[1] in w for w in words)
