"""The README tells the truth: every command it shows prints what it shows, every path it names is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from deltastack.cli import main as command

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)


def shown() -> list[tuple[str, str]]:
    """Each ``deltastack`` command of a console block with the output below it."""
    parts = [part for block in CONSOLE.findall(README) for part in block.split("$ deltastack ")[1:]]
    return [(words, output) for words, _, output in (part.partition("\n") for part in parts)]


@pytest.mark.parametrize(("words", "output"), shown(), ids=lambda text: text[:40])
def test_a_command_prints_what_is_shown(
    words: str, output: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If you are here because this failed: run the command and put what it prints into the README."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["deltastack", *shlex.split(words)])
    with pytest.raises(SystemExit):
        command.main()
    printed = "".join(capsys.readouterr())

    assert [line.rstrip() for line in printed.splitlines()] == output.splitlines()


def test_commands_are_shown() -> None:
    """The search above finds the console blocks: a composition, a refusal."""
    assert len(shown()) >= 3


def test_the_tree_is_the_house() -> None:
    """Every folder and file that the annotated tree names exists, in at most twenty lines."""
    tree = README.split("## The house")[1].split("```")[1].strip().splitlines()
    room = ""
    for line in tree:
        name = line.split()[0]
        room = "" if not line.startswith(" ") else room
        assert (ROOT / room / name).exists(), name
        room = room or (name if name == "deltastack/" else "")

    assert len(tree) <= 20


PATHS = sorted(set(re.findall(r"`((?:docs|params|tests|deltastack|tasks|scripts)/[\w/.-]*)`", README)))


TO_BE_WRITTEN = set(re.findall(r'^```\w+ title="(.*?)"', README, re.MULTILINE))
"""Files that a reader makes of a block; tests/layers/test_add_a_layer.py makes them."""


@pytest.mark.parametrize("name", [p for p in PATHS if "NAME" not in p and p not in TO_BE_WRITTEN])
def test_a_named_path_exists(name: str) -> None:
    """A path in backquotes is there (a decision record may be named by its number)."""
    assert (ROOT / name).exists() or list((ROOT / name).parent.glob(f"{(ROOT / name).name}*"))
