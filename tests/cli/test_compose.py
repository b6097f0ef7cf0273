"""``deltastack compose`` as a person or a script meets it: answers, and one line for what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deltastack.cli.main import main

ROOT = Path(__file__).parents[2]
CASES = str(ROOT / "params" / "published_compositions.yaml")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> object:
    """The exit code, stdout and stderr of ``deltastack compose WORDS``, in this process."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["deltastack", "compose", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(str(stop.value.code)), out, err

    return call


def test_the_papers_examples_as_a_process() -> None:
    """The command itself: 10 % and 15 % print 23.5 % and, on shares 0.6 and 0.4, 12 %, with their speed-ups."""
    words = ["--delta", "0.10", "--delta", "0.15", "--weight", "0.6", "--weight", "0.4"]
    ended = subprocess.run(
        [sys.executable, "-m", "deltastack.cli", "compose", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stderr
    assert [line.split() for line in ended.stdout.splitlines()[1:]] == [
        ["independent", "23.5", "%", "1.31x"],
        ["weighted", "12.0", "%", "1.14x"],
    ]
    assert ended.stderr == ""


def test_json_holds_fractions(run: object) -> None:
    """One JSON value: 0.235, 0.12, and for each case id, predicted, observed, gap."""
    words = ("--delta", "0.10", "--delta", "0.15", "--weight", "0.6", "--weight", "0.4", "--published", CASES, "--json")
    code, out, err = run(*words)  # type: ignore[operator]

    answer = json.loads(out)
    first, memory, llama = answer["cases"]
    assert (code, err) == (0, "")
    assert answer["independent"] == pytest.approx(0.235)
    assert answer["weighted"] == pytest.approx(0.12)
    assert first.keys() == {"id", "predicted", "observed", "gap"}
    assert first["id"] == "modelopt-nemotron3-nano-throughput"
    assert (round(first["predicted"], 3), round(first["observed"], 3), round(first["gap"], 3)) == (0.773, 0.621, 0.152)
    assert (round(memory["predicted"], 3), round(memory["observed"], 3)) == (0.624, 0.613)
    assert llama["gap"] == pytest.approx(llama["predicted"] - llama["observed"])


def test_json_holds_only_what_was_asked(run: object) -> None:
    """Without weights there is no weighted sum, without a file no cases; a cost is a negative saving."""
    code, out, _ = run("--delta", "0.5", "--delta", "-0.5", "--json")  # type: ignore[operator]

    assert code == 0
    assert json.loads(out) == {"independent": 0.25}


def test_a_person_sees_savings_and_speed_ups_of_each_case(run: object) -> None:
    """FP8 and pruning: 77.3 % = 4.40x promised, 62.1 % = 2.64x seen, 15.2 points apart."""
    code, out, _ = run("--published", CASES)  # type: ignore[operator]

    line = next(x for x in out.splitlines() if "throughput" in x)
    assert code == 0
    assert line.split() == [
        "modelopt-nemotron3-nano-throughput",
        "77.3",
        "%",
        "=",
        "4.40x",
        "62.1",
        "%",
        "=",
        "2.64x",
        "+15.2",
        "points",
    ]


def test_a_saving_of_everything_has_no_speed_up(run: object) -> None:
    """Δ = 1 leaves nothing; the page says so instead of dividing by zero."""
    code, out, _ = run("--delta", "1")  # type: ignore[operator]

    assert code == 0
    assert "100.0 %  no limit" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing to compose: give --delta at least once, or --published FILE"),
        (("--weight", "1"), "1 --weight for 0 --delta"),
        (("--delta", "0.1", "--weight", "0.5", "--weight", "0.5"), "2 --weight for 1 --delta: wanted one weight for each saving"),
        (("--delta", "15"), "a saving is at most 1 (everything); write 15 % as 0.15"),
        (("--delta", "nan"), "Δ: found nan"),
        (("--delta", "ten"), "Invalid value for '--delta'"),
        (("--delta", "10%"), "Invalid value for '--delta': wanted a number; a fraction is written 0.15, not 15 %"),
        (("--delta", "0.1", "--delta", "0.2", "--weight", "0.6", "--weight", "0.6"), "they sum to 1.2, wanted 1"),
        (("--published", "no/such/file.yaml"), "no/such/file.yaml: cannot be read"),
        (("--published", "pyproject.toml"), "pyproject.toml: not YAML"),
        (("--deltas", "0.1"), "No such option"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    words: tuple[str, ...], message: str, run: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was wrong, on one line of stderr, nothing on stdout."""
    monkeypatch.chdir(ROOT)

    code, out, err = run(*words, "--json")  # type: ignore[operator]
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
