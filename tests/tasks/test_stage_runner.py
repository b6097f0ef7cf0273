"""The guard of a stage: root, words, locks, receipts, errors, and death with the parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deltastack import machine_fingerprint
from deltastack.errors import CapacityError, PreflightError
from tasks import stage_runner

HERE = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, with the process inside one of its folders."""
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "er")
    monkeypatch.delenv(stage_runner.STARTED_BY, raising=False)
    return tmp_path


def start(monkeypatch: pytest.MonkeyPatch, stage: str, run: object, *words: str) -> int:
    """The exit code of ``python -m tasks.STAGE WORDS``."""
    monkeypatch.setattr(sys, "argv", [stage, *words])
    with pytest.raises(SystemExit) as stop:
        stage_runner.main(stage, run)  # type: ignore[arg-type]
    return int(str(stop.value.code))


def python(code: str, **more: object) -> subprocess.Popen[str]:
    """A child process that runs ``code`` with this project importable."""
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, **more)  # type: ignore[call-overload,no-any-return]


def test_a_stage_gets_the_root_and_leaves_a_receipt(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From any folder below, ``run`` is called with the root and its word; the receipt has the token and the host."""
    monkeypatch.setenv(stage_runner.TOKEN, "t-1")
    seen = []

    code = start(monkeypatch, "estimate", lambda root, layer: seen.append((root, layer)), "idle")

    assert code == 0
    assert seen == [(root, "idle")]
    left = json.loads(stage_runner.receipt(root, "estimate@idle").read_text())
    assert (left["stage"], left["token"], left["host"]) == ("estimate@idle", "t-1", machine_fingerprint.fingerprint())
    assert left["seconds"] >= 0


def test_an_expected_error_is_one_line_and_its_exit_code(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refusal exits 3, prints the message and its notes, and leaves a failure instead of a receipt."""

    def run(root: Path) -> None:
        error = CapacityError("the model needs 20 GB, there are 16 GB")
        error.add_note(f"read in {root.name}")
        raise error

    assert start(monkeypatch, "baseline", run) == 3
    assert capsys.readouterr().err.splitlines() == [
        "deltastack: the model needs 20 GB, there are 16 GB",
        f"  read in {root.name}",
    ]
    assert not stage_runner.receipt(root, "baseline").exists()
    assert json.loads(stage_runner.failure(root, "baseline").read_text())["exit_code"] == 3


def test_a_bug_keeps_its_traceback(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no DeltastackError is not hidden."""
    monkeypatch.setattr(sys, "argv", ["x"])
    with pytest.raises(ZeroDivisionError):
        stage_runner.main("x", lambda root: 1 / len(str(root)[:0]))  # type: ignore[arg-type,return-value]
    assert not stage_runner.receipt(root, "x").exists()


@pytest.mark.parametrize("words", [(), ("idle", "storage")])
def test_a_wrong_number_of_words_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """Usage is printed from the signature of ``run`` and the exit code is 2."""
    assert root.is_dir()
    assert start(monkeypatch, "estimate", lambda root, layer: (root, layer), *words) == 2
    assert "usage: python -m tasks.estimate LAYER" in capsys.readouterr().err


def test_outside_a_checkout_nothing_starts(tmp_path: Path) -> None:
    """Without dvc.yaml the remedy is named."""
    with pytest.raises(PreflightError, match=r"no dvc\.yaml in .* inside a checkout"):
        stage_runner.root_from(tmp_path)


HOLD = """
import logging, signal, sys
from pathlib import Path
from tasks import stage_runner
logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
with stage_runner.lock(Path({path!r}), "another process runs a, waiting"):
    print("held", flush=True)
    signal.pause()
"""


def test_a_lock_excludes_another_process_and_dies_with_its_holder(tmp_path: Path) -> None:
    """A second process waits and names the first; kill -9 of the first hands the lock over."""
    code = HOLD.format(path=str(tmp_path / "locks" / "a.lock"))
    first = python(code)
    assert first.stdout is not None
    assert first.stdout.readline() == "held\n"
    second = python(code)
    assert second.stdout is not None
    assert f"another process runs a, waiting (held by process {first.pid} in " in second.stdout.readline()

    first.kill()

    assert second.stdout.readline() == "held\n"
    second.kill()
    for child in (first, second):
        assert child.wait() == -signal.SIGKILL
        assert child.stdout is not None
        child.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_stage_dies_with_its_parent() -> None:
    """Kill -9 of the parent ends the child: its end of the pipe closes."""
    child = "import os, signal; from tasks import stage_runner; stage_runner.die_with_parent(9, os.getppid()); print('up', flush=True)"
    child += "; signal.pause()"
    parent = python(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])")
    assert parent.stdout is not None
    assert parent.stdout.readline() == "up\n"

    parent.kill()

    assert parent.stdout.read() == ""
    assert parent.wait() == -signal.SIGKILL
    parent.stdout.close()


def test_a_stage_whose_parent_is_gone_does_not_start() -> None:
    """If the parent ended before we asked, the process ends at once."""
    gone = python("pass")
    gone.communicate()

    orphan = python(f"from tasks import stage_runner; stage_runner.die_with_parent(9, {gone.pid}); print('alive')")

    assert orphan.communicate()[0] == ""
    assert orphan.returncode == -signal.SIGKILL


MEASURE = """
import sys, tempfile
tempfile.tempdir = {shared!r}
from tasks import stage_runner
stage_runner.main("measure", lambda root: print("measured", flush=True), measured=True)
"""


def test_measuring_excludes_across_checkouts(tmp_path: Path) -> None:
    """A measurement in another checkout on this machine is waited for; the lock does not lie in either checkout."""
    here = tmp_path / "here"
    here.mkdir()
    (here / "dvc.yaml").write_text("stages: {}\n")
    shared = str(tmp_path / "shared")
    with stage_runner.lock(Path(shared) / stage_runner.machine_lock().name, "", pytest.fail):
        second = python(MEASURE.format(shared=shared), cwd=here, stderr=subprocess.PIPE)
        assert second.stderr is not None
        said = second.stderr.readline()
    out, _ = second.communicate()

    assert "another measurement runs on this machine, waiting (held by process" in said
    assert (out, second.returncode) == ("measured\n", 0)
    assert stage_runner.machine_lock().is_absolute()
