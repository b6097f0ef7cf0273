"""docs/factorial.md tells the truth: its commands print what it shows, its Python runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from deltastack.cli import main as command

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/factorial.md").read_text()


def test_the_worked_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """If you are here because this failed: run the command and put what it prints into the page."""
    blocks = re.findall(r"```console\n\$ deltastack (.*?)\n(.*?)```", PAGE, re.DOTALL)
    assert blocks
    for words, shown in blocks:
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr("sys.argv", ["deltastack", *shlex.split(words)])
        with pytest.raises(SystemExit):
            command.main()
        assert capsys.readouterr().out.splitlines() == shown.splitlines()


def test_the_python_of_the_page(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The snippet runs and prints a gap and a verdict."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    monkeypatch.chdir(ROOT)
    exec(compile(code, "docs/factorial.md", "exec"), {})  # noqa: S102 - our own page

    gap, verdict = capsys.readouterr().out.split(maxsplit=1)
    assert float(gap) > 0
    assert verdict.strip() == "fails"
