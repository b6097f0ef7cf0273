"""How far a run is: a bar with the time left where a terminal is there, else one line a stage."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deltastack.cli import output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.stage_outcome import Done

    Begin = Callable[[int], object]
    Step = Callable[[Done], object]


TENTHS = 10


class Lines:
    """One line a stage: its number, how many there are, and how it went."""

    def __init__(self, say: Callable[[str], object]) -> None:
        """Take who hears the lines."""
        self._say, self._count, self._done = say, 0, 0

    def begin(self, count: int) -> None:
        """Start to count ``count`` stages."""
        self._count, self._done = count, 0

    def step(self, done: Done) -> None:
        """Say that one more stage is up to date."""
        from tasks.stage_outcome import told

        self._done += 1
        self._say(f"{self._done:>2}/{max(self._count, self._done)} {done.stage}: {told(done, datetime.now(UTC))}")


@contextmanager
def shown() -> Iterator[tuple[Begin, Step]]:
    """What hears how many stages there are, and each stage when it is up to date."""
    if not sys.stderr.isatty():
        lines = Lines(output.say)
        yield lines.begin, lines.step
        return
    with _bar() as found:
        yield found


@contextmanager
def counted(what: str, count: int) -> Iterator[Callable[[int], object]]:
    """What hears how many of ``count`` are there: a bar where a terminal is there, else a line every tenth."""
    if not sys.stderr.isatty():
        said = [-1]

        def line(there: int) -> None:
            if (tenth := TENTHS * there // max(count, 1)) > said[0]:
                said[0] = tenth
                output.say(f"{there}/{count} {what}")

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn(what))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=count)
        yield lambda there: bar.update(task, completed=there)


@contextmanager
def _bar() -> Iterator[tuple[Begin, Step]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from tasks.stage_outcome import told

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        line = bar.add_task("reading the graph", total=None)

        def begin(count: int) -> None:
            bar.reset(line, total=count, description="starting Prefect")

        def step(done: Done) -> None:
            bar.update(line, advance=1, description=f"{done.stage}: {told(done, datetime.now(UTC))}")

        yield begin, step
