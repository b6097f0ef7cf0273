"""The results in the README come from a run that anyone can repeat, or are not written."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from flows import readme
from tests.flows.test_command import SAID

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "# x\n\n<!-- results -->\nold\n<!-- end of results -->\n\nrest\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed project with results."""
    for name in ("params", "reports"):
        (tmp_path / name).mkdir()
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "README.md").write_text(PAGE)
    (tmp_path / "params" / "workload.yaml").write_text("trace: null\n")
    (tmp_path / ".gitignore").write_text("reports\n")
    (tmp_path / "reports" / "summary.json").write_text(json.dumps(SAID))
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@x"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_block_is_replaced_and_nothing_else(project: Path) -> None:
    """The lines of the summary and the commit stand between the marks; no line is long; the rest keeps its bytes."""
    assert readme.main() == 0
    text = (project / "README.md").read_text()

    assert text.startswith("# x\n\n<!-- results -->\n```text\n$ make run        # at commit ")
    assert text.endswith("\n```\n<!-- end of results -->\n\nrest\n")
    assert "+12.5 % [+10.0, +15.0]" in text
    assert "old" not in text
    assert max(map(len, text.splitlines())) <= readme.WIDTH


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("reports/summary.json", "", "there are no results: make run"),
        ("reports/summary.json", json.dumps({**SAID, "canonical": False}), "the last run was a quick one: make run"),
        ("params/workload.yaml", "trace: {path: x}\n", "the workload is a trace: make run TRACE=default"),
        ("dvc.yaml", "stages: {a: {}}\n", "tracked files differ from the commit"),
        ("README.md", "no marks\n", "tracked files differ from the commit"),
    ],
)
def test_what_is_refused(project: Path, name: str, content: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Results that nobody could repeat from the commit are not written; what to do is said."""
    (project / name).write_text(content)
    before = (project / "README.md").read_text()

    assert readme.main() == 1
    assert f"readme: {words}\n" in capsys.readouterr().err
    assert (project / "README.md").read_text() == before
