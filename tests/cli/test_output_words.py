"""What every command prints: lines of 80 columns, sentences of 25 words, no word of the trade.

Help pages are read of every command. Results are read of those that answer on tiny input; ``ELSEWHERE`` names the test of the
others, so that a new command cannot be forgotten.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deltastack.cli.main import app
from tests.cli.test_examples import commands
from tests.report.project import finished

HOME = Path(__file__).parents[2]
WIDTH, MOST_WORDS = 80, 25
JARGON = (
    "A/A",
    "admissible",
    "canonical",
    "Holm",
    "jackknife",
    "leave-one-out",
    "main effect",
    "order range",
    "pp",
    "Shapley",
    "SLO",
)
RESULTS = {
    "compare": ("compare", "{was}"),
    "compose": ("compose", "--delta", "0.10", "--delta", "0.15", "--weight", "0.6", "--weight", "0.4"),
    "factorial": ("factorial", "docs/examples/runs.csv"),
    "imported": ("imported",),
    "plan": ("plan", "--layer", "fp8", "--layer", "prefix_cache", "--layer", "speculation"),
    "published": ("published", "--brief"),
    "solve": ("solve", "--target", "energy=0.19"),
    "workload describe": ("workload", "describe", "trace.csv"),
}
"""Command lines that answer in the tiny checkout."""
ELSEWHERE = {
    "accelerator": "tests/accelerator/test_bench.py",
    "calibrate": "tests/cli/test_calibrate.py",
    "capacity": "tests/cli/test_fleet.py",
    "claims check": "tests/claims/test_claims.py",
    "doctor": "tests/cli/test_doctor.py",
    "engine check": "tests/engine/test_check.py",
    "engine run": "tests/engine/test_bench.py",
    "engine show": "tests/engine/test_bench.py",
    "estimate": "tests/cli/test_estimate.py",
    "import": "tests/importers/test_elsewhere.py",
    "measure": "tests/tasks/test_adhoc_measurement.py",
    "record": "tests/recording/test_recording.py",
    "replay": "tests/recording/test_recording.py",
    "report": "tests/report/test_closing.py",
    "run": "tests/report/test_closing.py",
    "simulate": "tests/cli/test_fleet.py",
    "sweep": "tests/cli/test_sweep.py",
    "sync": "tests/flows/test_command.py",
    "tidy": "tests/flows/test_retention.py",
    "workload generate": "tests/workload/test_generate.py",
}
"""Where the result of a command that needs more than tiny input is looked at."""
NAMES = [path for path, _ in commands()]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkout with results, another beside it, the shipped publications and a trace."""
    root = finished(tmp_path_factory.mktemp("words") / "now")
    finished(root.parent / "was")
    shutil.copytree(HOME / "params/published", root / "params/published")
    shutil.copy(HOME / "params/workload.yaml", root / "params/workload.yaml")
    shutil.copytree(HOME / "docs/examples", root / "docs/examples")
    times = "".join(f"2023-11-16 18:15:{46 + n}.6,374,44\n" for n in range(9))
    (root / "trace.csv").write_text(f"TIMESTAMP,ContextTokens,GeneratedTokens\n{times}")
    return root


def printed(*words: str) -> str:
    """Stdout and stderr of ``deltastack WORDS`` on a terminal of 80 columns."""
    done = CliRunner(env={"COLUMNS": str(WIDTH), "TERMINAL_WIDTH": str(WIDTH)}).invoke(app, list(words))
    assert done.exit_code in {0, 4, 5, 6}, done.output
    return done.output


def faults(text: str) -> tuple[list[str], list[str], list[str]]:
    """Lines that are too wide, sentences that are too long, words of the trade."""
    wide = [line for line in text.splitlines() if len(line.rstrip()) > WIDTH]
    trade = [w for w in JARGON if re.search(rf"(?<!\w){re.escape(w)}(?!\w)", text)]
    return wide, [s for s in sentences(text) if len(s.split()) > MOST_WORDS], trade


def sentences(text: str) -> list[str]:
    """Prose between stops; rows of tables, which have columns apart, are none. A line that goes on below is one with it."""
    prose = "\n".join("" if re.search(r"\S {2,}\S", line) else line for line in text.splitlines())
    joined = re.sub(r"(?<=\S)\n +", " ", prose)
    return [s for line in joined.splitlines() for s in re.split(r"(?<=[.;:?!])\s", line)]


def test_the_faults_are_found() -> None:
    """By hand: a line of 81 columns, a sentence of 26 words, a word of the trade; a row of a table is no sentence."""
    assert faults("x" * 81) == (["x" * 81], [], [])
    assert faults("a\n  " * 25 + "a") == ([], [" ".join("a" * 26)], [])
    assert faults("gap 2 pp") == ([], [], ["pp"])
    assert faults("\n".join(["word  word"] * 30)) == ([], [], [])


def test_every_command_is_looked_at() -> None:
    """Its result here, or in a test that is there."""
    assert sorted([*RESULTS, *ELSEWHERE]) == NAMES
    assert [p for p in ELSEWHERE.values() if not (HOME / p).is_file()] == []


@pytest.mark.parametrize("path", NAMES)
def test_help_is_in_plain_words(path: str) -> None:
    """If you are here because this failed: make the sentence shorter, or say the word in English."""
    assert faults(printed(*path.split(), "--help")) == ([], [], [])


@pytest.mark.parametrize("path", RESULTS)
def test_a_result_is_in_plain_words(path: str, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If you are here because this failed: wrap the line with ``output.tell``, or say the word in English."""
    monkeypatch.chdir(checkout)
    assert faults(printed(*(w.format(was="../was") for w in RESULTS[path]))) == ([], [], [])
