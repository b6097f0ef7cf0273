"""``deltastack sweep``: a row for every combination, and the same bytes if it was killed and resumed, or ran on a cluster."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from deltastack.cli.main import main
from deltastack.cli.sweep import _rates
from deltastack.contracts import SWEEP
from deltastack.errors import ParamsError
from deltastack.fleet import executor
from tests import dask_servers

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SMALL = ("--scene", "tiny", "--platform", "h100_sxm", "--platform", "l40s", "--platform", "a100_sxm", "--rate", "1:256:5")
TINY = """
title: a small fleet
why: tests are quick
fleet: {deployment: {replicas: 2}, capacity: {requests: 300, requests_per_replica: 10}}
"""


class Run(Protocol):
    """``deltastack sweep`` in this process."""

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """The exit code, stdout and stderr."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """In a checkout of its own with one small scene."""
    shutil.copytree(ROOT / "params", tmp_path / "params")
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    (tmp_path / "params" / "scenes" / "tiny.yaml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(executor.VARIABLE, raising=False)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["deltastack", "sweep", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(str(stop.value.code or 0)), out, err

    return call


def test_every_combination_has_a_row(run: Run) -> None:
    """3 platforms x 3 precisions x 5 rates; what cannot be is null with its reason; overload has latencies and no amounts."""
    code, out, err = run(*SMALL, "--json")
    found, table = json.loads(out), SWEEP.read(Path("sweep.parquet"))

    assert code == 0
    assert found["rows"] == len(table) == 45
    assert err.splitlines()[0] == "0/45 rows"
    assert err.splitlines()[-1] == "45/45 rows"
    absent = table[table["platform"] == "a100_sxm"]
    assert absent["met"].isna().all()
    assert absent["reason"].str.contains("was never measured").all()
    late = table[table["reason"].fillna("").str.startswith("overloaded")]
    assert set(late["rate_per_s"]) >= {256.0}
    assert late["energy_j"].isna().all()
    assert late["e2e_p99_s"].notna().all()
    assert found["without"]["overloaded"] == len(late)
    assert found["with_amounts"] == int(table["energy_j"].notna().sum())


def test_more_rate_meets_no_more_and_takes_less_energy(run: Run) -> None:
    """Busier replicas share what they draw when idle; goals are those of the scene's own deployment on every platform."""
    run(*SMALL)
    table = SWEEP.read(Path("sweep.parquet"))
    own = table[(table["platform"] == "h100_sxm") & (table["precision"] == "bf16")].sort_values("rate_per_s")
    energy_j = own["energy_j"].dropna()

    assert len(energy_j) >= 2
    assert energy_j.is_monotonic_decreasing
    assert own["met"].is_monotonic_decreasing
    assert own["met"].iloc[0] > 0.99


def test_a_larger_sweep_takes_the_finished_rows(run: Run) -> None:
    """Rows that are there are not simulated again; with other params they are, and the command says so."""
    run(*SMALL)
    first = Path("sweep.parquet").read_bytes()
    _, _, err = run(*SMALL, "--rate", "3")
    assert err.splitlines()[0] == "45/54 rows"
    run(*SMALL)
    assert Path("sweep.parquet").read_bytes() == first

    fleet = Path("params/fleet.yaml")
    fleet.write_text(fleet.read_text() + "\n# a word\n")
    _, _, err = run(*SMALL)
    assert err.splitlines()[:2] == [
        "sweep.parquet.rows.jsonl is of other code or params: every row is simulated again",
        "0/45 rows",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--scene", "lost"), "deltastack: no scene 'lost' in params/scenes; there are: assistant, experts, long_context, tiny"),
        (("--platform", "tpu"), "deltastack: no platform 'tpu' in params/platforms; there are: a100_sxm, b200_sxm"),
        (("--precision", "int3"), "deltastack: no precision 'int3'; there are: bf16, fp8, nvfp4"),
        (("--platform", "a100_sxm"), "deltastack: no combination of the sweep has operator times; the first: Qwen/Qwen3-VL-8B"),
        (("--rate", "9:1:3"), "deltastack: --rate 9:1:3: wanted requests/s above 0, or LOW:HIGH:COUNT such as 1:64:7"),
        (("--out", "no/such/x.parquet"), "deltastack: no/such/x.parquet: no folder "),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(run: Run, words: tuple[str, ...], said: str) -> None:
    """With the names that there are; nothing is written."""
    scene = () if "--scene" in words else ("--scene", "tiny")
    code, out, err = run(*scene, *words)

    assert (code, out) == (2, "")
    assert err.startswith(said)
    assert len(err.splitlines()) == 1
    assert not Path("sweep.parquet").exists()


def test_rates_in_equal_ratios() -> None:
    """1, 4, 16: the ratio is 4; one number is one rate."""
    assert _rates("1:16:3") == [1.0, 4.0, 16.0]
    assert _rates("2.5") == [2.5]
    for wrong in ("0", "x", "1:2", "1:2:1", "1:2:2.5", "1:inf:3", "nan"):
        with pytest.raises(ParamsError):
            _rates(wrong)


DIES = """
import os, signal, sys
from deltastack.cli.main import main
from deltastack.contracts.lines import Lines

append, left = Lines.append, [8]

def counted(self, value):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    append(self, value)

Lines.append = counted
main()
"""
"""The command line, which is killed as it writes its seventh row."""


def test_a_sweep_that_was_killed_gives_the_same_bytes(run: Run) -> None:
    """It goes on where it was cut: six rows are there, and the table is that of a sweep that went through."""
    done = subprocess.run([sys.executable, "-c", DIES, "sweep", *SMALL], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not Path("sweep.parquet").exists()
    _, _, err = run(*SMALL)
    assert err.splitlines()[0] == "6/45 rows"

    resumed = Path("sweep.parquet").read_bytes()
    Path("sweep.parquet.rows.jsonl").unlink()
    run(*SMALL)
    assert Path("sweep.parquet").read_bytes() == resumed


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dask_servers.Servers]:
    """A scheduler with two workers."""
    with dask_servers.servers(tmp_path_factory.mktemp("dask")) as found:
        yield found


@pytest.mark.slow
@pytest.mark.xdist_group("dask")
def test_a_sweep_through_dask_gives_the_same_bytes(run: Run, two: dask_servers.Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The params of this checkout, which the workers do not have, travel with the work."""
    run(*SMALL, "--out", "here.parquet")
    monkeypatch.setenv(executor.VARIABLE, two.address)
    code, _, err = run(*SMALL, "--out", "there.parquet")

    assert code == 0, err
    assert Path("there.parquet").read_bytes() == Path("here.parquet").read_bytes()


@pytest.mark.slow
@pytest.mark.xdist_group("dask")
def test_a_dead_scheduler_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 3; a name that is no address is exit 2."""
    monkeypatch.setattr("deltastack.fleet.cluster.WAIT_S", 1.0)
    monkeypatch.setenv(executor.VARIABLE, "tcp://127.0.0.1:9")
    code, _, err = run(*SMALL)
    assert (code, err.splitlines()[-1][:76]) == (
        3,
        "deltastack: no Dask scheduler answers at tcp://127.0.0.1:9 within 1 s (Timed",
    )
    monkeypatch.setenv(executor.VARIABLE, "here")
    code, _, err = run(*SMALL)
    assert (code, err.count("\n")) == (2, 1)
