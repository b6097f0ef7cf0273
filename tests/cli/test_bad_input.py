"""Input that only the command itself can refuse: exit 2, one line, and the remedy in it."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from deltastack.cli.main import main

HERE = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("workload", "generate", "--requests", "9", "--out", "{here}"),
            "cannot be written (Is a directory); wanted the name of",
        ),
        (
            ("workload", "generate", "--requests", "9", "--out", "{here}/a/b"),
            "cannot be written (File exists); wanted the name of",
        ),
        (
            ("import", "--layer", "storage", "--before", "a", "--after", "b"),
            "layer 'storage' is one of ours",
        ),
        (("measure", "--cells", "base"), "wanted a cell beside the base, such as base,idle"),
    ],
)
def test_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    """A directory or a path through a file as a trace's place; an import named as a layer of ours; nothing to compare."""
    (tmp_path / "a").write_text("a file, no folder")
    monkeypatch.chdir(HERE)
    monkeypatch.setattr(sys, "argv", ["deltastack", *(w.format(here=tmp_path) for w in words)])
    with pytest.raises(SystemExit) as stop:
        main()

    out, err = capsys.readouterr()
    assert (stop.value.code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_the_version_is_that_of_the_package(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """``deltastack --version`` prints name and version and needs no command."""
    monkeypatch.setattr(sys, "argv", ["deltastack", "--version"])
    with pytest.raises(SystemExit) as stop:
        main()

    assert (stop.value.code or 0, capsys.readouterr().out) == (0, f"deltastack {metadata.version('deltastack')}\n")
