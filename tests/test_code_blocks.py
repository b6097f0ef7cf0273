"""Commands and code in README and docs do what the text says.

A block ``console`` whose command is quick is run, and what it prints is compared word for word. Python blocks are run. Of every
other command the name and each option are looked up, so that a renamed one is found.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from deltastack.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(console|sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)
QUICK = {"compose", "published", "factorial"}
RESULTS = "ds.read()"
OTHERS = {"cat", "cp", "dask", "dvc", "git", "helm", "kubectl", "pip", "pre-commit", "prefect", "python", "sh", "ssh"}
"""Commands of others that pages show."""


def blocks(kind: str) -> list[tuple[str, str]]:
    """The blocks of a kind with the page they stand on."""
    return [
        (str(p.relative_to(ROOT)), text) for p in PAGES for k, text in BLOCK.findall(p.read_text(encoding="utf-8")) if k == kind
    ]


def sessions() -> list[tuple[str, str, str]]:
    """Page, command and output of every command in a ``console`` block."""
    found = []
    for page, text in blocks("console"):
        parts = re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]
        found += [(page, *(part.split("\n", 1))) for part in parts]
    return found


def commands() -> list[tuple[str, str]]:
    """Page and command of every line of a shell block."""
    lines = [(page, line) for page, text in blocks("sh") for line in text.splitlines()]
    lines += [(page, command) for page, command, _ in sessions()]
    return [(page, line.split(" #")[0].strip()) for page, line in lines if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize(("page", "command", "output"), sessions())
def test_a_session_prints_what_the_page_shows(page: str, command: str, output: str) -> None:
    """If you are here because this failed: run the command and paste what it prints into the page."""
    words = shlex.split(command)
    assert words[0] == "deltastack", page
    assert words[1] in QUICK, f"{page}: only quick commands stand in a console block; use ```sh for {command}"
    done = subprocess.run(
        [sys.executable, "-m", "deltastack.cli", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout + done.stderr).rstrip() == output.rstrip(), page


@pytest.mark.parametrize(("page", "text"), blocks("python"))
def test_python_on_a_page_runs(page: str, text: str) -> None:
    """Blocks that read the results of a run are compiled only: there are none in a fresh clone."""
    if RESULTS in text:
        compile(text, page, "exec")
        return
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{page}: {done.stderr}"


@pytest.mark.parametrize(("page", "command"), commands())
def test_a_command_on_a_page_exists(page: str, command: str) -> None:
    """The command, its subcommand and each of its options; make targets; files."""
    words = [w for w in shlex.split(command) if not re.match(r"[A-Z_]+=", w)]
    name = Path(words[0]).name if words else ""
    if name == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert set(words[1:]) <= targets, page
    elif name == "deltastack":
        assert _unknown(words[1:]) == [], page
    else:
        assert name in OTHERS, f"{page}: {command}"


def _unknown(words: list[str]) -> list[str]:
    """Words of a command line that the command does not know."""
    at = typer.main.get_command(app)
    rest = list(words)
    while rest and hasattr(at, "commands"):
        if rest[0].startswith("-"):
            break
        if rest[0] not in at.commands:
            return [rest[0]]
        at = at.commands[rest.pop(0)]
    known = {"--help", *(o for p in at.params for o in (*p.opts, *p.secondary_opts))}
    return [w for w in rest if w.startswith("--") and w.split("=")[0] not in known]


def test_a_wrong_command_is_found() -> None:
    """The look-up itself finds a wrong name and a wrong option."""
    assert _unknown(["measuer"]) == ["measuer"]
    assert _unknown(["capacity", "--scenes", "assistant"]) == ["--scenes"]
    assert _unknown(["engine", "check", "--cells", "x"]) == []
