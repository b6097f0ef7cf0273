"""``deltastack run`` and ``deltastack sync`` as a person or a script meets them."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deltastack.cli import main as command
from flows import run_stack
from tasks.stage_outcome import Done, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., tuple[int, str, str]]

HOME = Path(__file__).parents[2]
STACK = "layers: [idle]\neffort: default   # default | quick\n"
READING = {
    "bench": "fleet",
    "resource": "energy_j",
    "operating_point": "at_trace",
    "evidence": "simulated",
    "delta": 0.125,
    "lo": 0.1,
    "hi": 0.15,
    "draws": None,
    "resolution": "saves",
    "caveat": None,
}
TOTAL = READING | {"product": 0.15, "gap": 0.025, "gap_lo": None, "verdict": "fails", "noise_floor": None, "one_start": False}
TARGET = {"bench": "fleet", "resource": "energy_j", "verdict": "not reached", "margin": -0.1, "unfit": None, "layers": ["idle"]}
TARGET |= {"best": "not reached", "best_unfit": None}
SAID = {
    "schema": 4,
    "headline": ["the stack saves 12.5 % of energy"],
    "canonical": True,
    "totals": [TOTAL],
    "table": [READING | {"layer": f"layer{n}", "disabled": False} for n in range(9)],
    "targets": [TARGET | {"target": t} for t in "abcde"],
    "workload": "a trace",
    "text_only": "no image in it: the encoder had nothing to do",
    "screen": {
        "decision": "Switch on idle (1 of 9 layers).",
        "places": ["energy, at today's load"],
        "rows": [{"layer": f"layer{n}", "cells": ["saves 12.5 %"], "advice": "on; check answers"} for n in range(9)],
    },
}


@pytest.fixture
def run(finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit code, stdout and stderr of ``deltastack WORDS`` in a project where all is up to date."""
    (finished / "params").mkdir()
    (finished / "params" / "stack.yaml").write_text(STACK)
    shutil.copy(HOME / "params" / "workload.yaml", finished / "params" / "workload.yaml")
    (finished / "bad.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6,-3,44\n")

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["deltastack", *words])
        with pytest.raises(SystemExit) as stop:
            command.main()
        return (int(stop.value.code or 0), *capsys.readouterr())

    return call


def test_nothing_changed_is_one_line(run: Run) -> None:
    """Four stages up to date, nothing on stderr, exit 0."""
    assert run("run", "--target", "d") == (0, "nothing changed: 4 stages up to date\n", "")


def test_a_script_gets_one_json_value(run: Run) -> None:
    """Stages with their outcomes; no results, no metrics."""
    code, out, err = run("run", "--target", "d", "--json")

    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "stages": [{"stage": n, "outcome": "unchanged", "seconds": 0.0} for n in "abcd"],
        "metrics": {},
    }


def test_the_end_of_a_run_is_at_most_fifteen_lines(run: Run, finished: Path) -> None:
    """Nine layers and five targets: what to switch on, the total, the layers, the two paths; --verbose has the targets."""
    (finished / "reports").mkdir()
    for name, content in (("summary.json", json.dumps(SAID)), ("metrics.json", "{}"), ("report.html", "<p>")):
        (finished / "reports" / name).write_text(content)

    _, out, _ = run("run", "--target", "d")
    lines = out.splitlines()

    assert len(lines) <= 15
    assert lines[1] == "Switch on idle (1 of 9 layers)."
    assert lines[3].split()[:9] == ["energy,", "today's", "load", "+15.0", "%", "+12.5", "%", "[+10.0,", "+15.0]"]
    assert lines[3].endswith("wrong")
    assert lines[-1].split() == ["report", "reports/report.html", "reports/metrics.json"]
    assert max(map(len, lines)) <= 80
    assert not any(line.startswith("target") for line in lines)
    assert sum(line.startswith("target") for line in run("run", "--target", "d", "--verbose")[1].splitlines()) == 5


def test_quick_is_written_where_dvc_sees_it(run: Run, finished: Path) -> None:
    """The effort changes in params/stack.yaml and comes back with the next run; comments stay."""
    path = finished / "params" / "stack.yaml"

    assert run("run", "--target", "d", "--quick")[0] == 0
    assert path.read_text().split() == STACK.replace("effort: default", "effort: quick").split()
    assert run("run", "--target", "d")[0] == 0
    assert path.read_text() == STACK


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "--target", "nix"), "deltastack: no stage 'nix' in dvc.yaml; it has: a, b, c, d"),
        (("run", "--trace", "nowhere.csv"), "deltastack: no such trace: nowhere.csv"),
        (("run", "--trace", "bad.csv"), "deltastack: bad.csv: 1 bad rows: line 2: prompt tokens below 1"),
        (("run", "--frob"), "deltastack: No such option: --frob"),
    ],
)
def test_bad_input_exits_2_with_one_line(run: Run, words: tuple[str, ...], message: str) -> None:
    """What was wrong and what there is, on one line of stderr; stdout stays empty, no parameter is touched."""
    code, out, err = run(*words)

    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1
    assert (Path("params") / "workload.yaml").read_bytes() == (HOME / "params" / "workload.yaml").read_bytes()


def test_outside_a_checkout_the_remedy_is_named(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 3: run it inside a checkout."""
    monkeypatch.chdir(tmp_path)

    code, out, err = run("run")

    assert (code, out) == (3, "")
    assert err.startswith("deltastack: no dvc.yaml in ")
    assert err.endswith("run this inside a checkout of deltastack\n")


def test_an_interrupted_run_exits_130(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is one word and its exit code, no traceback."""

    def interrupted(*_words: object, **_more: object) -> run_stack.Ended:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_stack, "run", interrupted)

    assert run("run", "--target", "d") == (130, "", "interrupted\n")


def test_stages_are_told_one_line_each_without_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ran: a line a stage on stderr, none that says that nothing changed."""
    done = [Done("a", Outcome.RAN, 1.5), Done("b", Outcome.UNCHANGED)]

    def ran(*_words: object, listener: run_stack.Listener, **_more: object) -> run_stack.Ended:
        listener.begin(2)
        for one in done:
            listener.step(one)
        return run_stack.Ended(done, ran=True)

    monkeypatch.setattr(run_stack, "run", ran)

    assert run("run", "--target", "d") == (0, "", " 1/2 a: ran in 1.5 s\n 2/2 b: unchanged\n")


def test_sync_with_nothing_to_send(run: Run) -> None:
    """It says so; a script gets an empty list."""
    assert run("sync") == (0, "nothing waits to be published\n", "")
    assert run("sync", "--json") == (0, '{\n  "runs": []\n}\n', "")


def test_sync_with_a_server_that_is_away(run: Run, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 1, one line that says where the results are kept; they are."""
    (finished / "reports").mkdir()
    (finished / "reports" / "metrics.json").write_text("{}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{probe.getsockname()[1]}")

    code, out, err = run("sync")

    assert (code, out) == (1, "")
    assert "did not take 1 set of results" in err
    assert "kept in .run/outbox" in err
    assert len(list((finished / ".run" / "outbox").glob("*.json"))) == 1
