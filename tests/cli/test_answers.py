"""``deltastack claims`` and ``solve`` as a person or a script meets them: answers, exit codes, one line for what is wrong."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from deltastack.cli.main import main
from tests.report.project import finished

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """The exit code, stdout and stderr of ``deltastack WORDS`` in a checkout with finished tables, in this process."""
    monkeypatch.chdir(finished(tmp_path / "here"))

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["deltastack", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(str(stop.value.code or 0)), out, err

    return call


def test_claims_check(run: Run) -> None:
    """All claims in one JSON value; the joint run (1 - 0.95 x 0.8 = 24 % of energy) does not reach a third."""
    code, out, _ = run("claims", "check", "--json")
    found = {f["id"]: f for f in json.loads(out)}

    assert code == 0
    assert len(found) == 33
    assert found["efficiency-50"]["verdict"] == "refuted"
    assert found["efficiency-50"]["found"] == pytest.approx(0.24)


def test_one_claim_in_words(run: Run) -> None:
    """A chosen claim prints its verdict and reason; an unknown one exits 2 with those there are."""
    code, out, _ = run("claims", "check", "table-cube")
    assert code == 0
    assert "confirmed" in out
    assert "recomputed +3.03%" in out
    code, _, err = run("claims", "check", "nobody")
    assert code == 2
    assert err.startswith("deltastack: no claim 'nobody'; there are: efficiency-50")


def test_solve_finds_the_cheapest(run: Run) -> None:
    """20 % of energy takes storage alone; exit 0, one JSON value."""
    code, out, _ = run("solve", "--target", "energy=0.19", "--json")
    answer = json.loads(out)

    assert code == 0
    assert (answer["outcome"], answer["cell"]["layers"]) == ("found", ["storage"])
    assert answer["cell"]["savings"]["energy_j"]["delta"] == pytest.approx(0.2)


def test_solve_says_impossible_and_what_is_missing(run: Run) -> None:
    """A half cannot be reached: exit 3, the best is 24 %, one more layer would have to save 1 - 0.5 / 0.76 = 34.2 %."""
    code, out, _ = run("solve", "--target", "energy=50%")

    assert code == 3
    assert "impossible" in out
    assert "storage + idle" in out
    assert "+34.2 % of what is left" in " ".join(out.split())


def test_solve_cannot_tell_quality_that_nobody_measured(run: Run) -> None:
    """Exit 6."""
    assert run("solve", "--target", "energy=0.19", "--limit", "quality=-0.01")[0] == 6


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target", "energy"], "--target energy: wanted NAME=FRACTION"),
        (["--target", "speed=0.2"], "no resource 'speed'; there are: time_s"),
        (["--target", "energy=0.2", "--bench", "moon"], "no bench 'moon'; there are: fleet, testbed"),
        (["--target", "energy=20"], "wanted a saving between 0 and 1"),
    ],
)
def test_bad_wishes_exit_2(run: Run, words: list[str], said: str) -> None:
    """One line on stderr says what was wanted."""
    code, out, err = run("solve", *words)

    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert said in err
