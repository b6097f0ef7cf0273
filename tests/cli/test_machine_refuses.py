"""What the machine refuses is one line and an exit code: a full disk, a folder of another's, no memory, a pipe that closed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
import typer

from deltastack import errors
from deltastack.cli import output
from deltastack.cli.main import main
from tasks import stage_runner

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parents[2]
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "data/a.parquet")
Case = tuple[OSError | MemoryError, int, str]
CASES: list[Case] = [
    (FULL, 3, "data/a.parquet: No space left on device; free some and run again"),
    (OSError(errno.EFBIG, os.strerror(errno.EFBIG), "a"), 3, "a: File too large; free some and run again"),
    (OSError("[Errno 28] Error writing bytes to file"), 3, "Error writing bytes to file; free some and run again"),
    (
        OSError(errno.EROFS, os.strerror(errno.EROFS), "reports"),
        2,
        "reports: cannot be written (Read-only file system); work",
    ),
    (PermissionError(errno.EACCES, "Permission denied", "x"), 2, "x: cannot be written (Permission denied); work in a copy"),
    (MemoryError(), 3, "not enough memory for this; end other work, or ask for less"),
]


def raising(error: BaseException) -> Callable[[], NoReturn]:
    """A command that ends so."""

    def command() -> NoReturn:
        raise error

    return command


@pytest.mark.parametrize("case", CASES, ids=["full", "file too large", "arrow full", "read-only", "not mine", "memory"])
def test_a_command(case: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever command it ends."""
    error, code, said = case
    monkeypatch.setattr(sys, "argv", ["deltastack"])
    app = typer.Typer()
    app.command()(raising(error))
    assert output.exit_code_of(app) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err


@pytest.mark.parametrize("case", CASES, ids=["full", "file too large", "arrow full", "read-only", "not mine", "memory"])
def test_a_stage(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The same words, and the flow finds them in the receipt."""
    error, code, said = case
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["tasks.mine"])

    def run(root: Path) -> None:
        del root
        raise error

    with pytest.raises(SystemExit) as stop:
        stage_runner.main("mine", run)

    assert stop.value.code == code
    assert said in capsys.readouterr().err
    assert said.partition(";")[0] in stage_runner.failure(tmp_path, "mine").read_text()


def test_a_fault_of_ours_is_no_fault_of_the_machine() -> None:
    """A missing file that nobody expected is raised as it is."""
    assert errors.of_system(FileNotFoundError(errno.ENOENT, "No such file", "x")) is None


def test_nothing_is_left_of_a_file_that_did_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old content stays, no part beside it."""
    path = tmp_path / "a.json"
    stage_runner.write(path, "old")
    monkeypatch.setattr(os, "fsync", lambda _: raising(FULL)())

    with pytest.raises(OSError, match="No space left"):
        stage_runner.write(path, "new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.json", "old")]


def test_a_lock_is_never_opened_through_a_link(tmp_path: Path) -> None:
    """The machine's lock lies in a folder of everybody's: a link there could name any file of ours."""
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "lock").symlink_to(tmp_path / "mine")

    with pytest.raises(OSError, match="symbolic links"), stage_runner.lock(tmp_path / "lock", "waiting"):
        pass
    assert (tmp_path / "mine").read_text() == "precious"


def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    """``deltastack published | head -1`` prints its line and nothing on stderr."""
    words = f"{sys.executable} -m deltastack.cli published | head -1"
    done = subprocess.run(["/bin/sh", "-c", words], cwd=HERE, capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["[red]x[/].csv", "[/nope].csv"])
def test_a_name_is_no_markup(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Brackets of a file's name are printed as they are."""
    path = tmp_path / name.replace("/", "\N{FRACTION SLASH}")
    path.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,4808,10\n")
    monkeypatch.chdir(HERE)
    monkeypatch.setattr(sys, "argv", ["deltastack", "workload", "describe", str(path)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    assert path.name in capsys.readouterr().out
