"""How far a run is: numbered lines without a terminal, a bar with one."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from deltastack.cli import progress
from tasks.stage_outcome import Done, Outcome

if TYPE_CHECKING:
    import pytest


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


def test_a_line_a_stage_counts_them() -> None:
    """Stages are numbered from 1; a second target starts to count again."""
    said: list[str] = []
    lines = progress.Lines(said.append)
    lines.begin(2)
    lines.step(Done("workload", Outcome.UNCHANGED))
    lines.step(Done("joint@assistant", Outcome.RAN, 70.0))
    lines.begin(1)
    lines.step(Done("aggregate", Outcome.RAN, 1.0))
    assert said == [" 1/2 workload: unchanged", " 2/2 joint@assistant: ran in 70.0 s", " 1/1 aggregate: ran in 1.0 s"]


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells the count and the stage, and cleans up behind itself."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with progress.shown() as (begin, step):
        begin(2)
        step(Done("workload", Outcome.RAN, 1.0))
    assert "1/2" in stream.getvalue()


def test_without_a_terminal_the_lines_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Stdout is for results."""
    with progress.shown() as (begin, step):
        begin(1)
        step(Done("workload", Outcome.UNCHANGED))
    assert capsys.readouterr() == ("", " 1/1 workload: unchanged\n")
