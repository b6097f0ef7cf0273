"""One run from the command line: nothing starts if nothing changed, else the flow ``stack`` on a Prefect server."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from deltastack.errors import TrackingError
from flows import dvc_adapter, process_group, receipts, schedule, server, service_state, tracking
from tasks.stage_outcome import PROGRESS, Done, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RESULTS = "aggregate"
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "1",
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
}
"""Prefect in a terminal: offline, patient, silent on what the command line says itself."""


class Ended(NamedTuple):
    """How a run from the command line ended."""

    stages: list[Done]
    ran: bool
    """False: everything was up to date and no engine started."""


class Listener(NamedTuple):
    """Who hears about a run while it goes on."""

    say: Callable[[str], object]
    """Gets warnings and waiting messages, once each."""
    begin: Callable[[int], object]
    """Gets the number of stages before the engine starts."""
    step: Callable[[Done], object]
    """Gets each stage when it is up to date."""


def run(root: Path, target: str, *, remeasure: bool, listener: Listener) -> Ended:
    """Bring ``target`` up to date and publish.

    Args:
        root: The project.
        target: A stage of dvc.yaml.
        remeasure: Measure again, even if nothing changed.
        listener: Hears about it.

    Raises:
        PreflightError: Prefect's server did not come up.
        StageError: Stages failed.
        UnknownNameError: There is no such stage.
    """
    with process_group.turn(root, listener.say):
        dvc_adapter.mend(root, listener.say)
        found = dvc_adapter.survey(root)
        todo = schedule.plan(dvc_adapter.select(found, target), found.stale, remeasure=remeasure)
        if todo.work:
            listener.begin(len(todo.order))
            with _engine(root), _watched(listener):
                return Ended(_flow(target, remeasure=remeasure), ran=True)
        if RESULTS in todo.order:
            _publish(root, listener.say)
        return Ended([receipts.complete(root, Done(n, Outcome.UNCHANGED), found.cache) for n in todo.order], ran=False)


def sync(root: Path, say: Callable[[str], object]) -> list[str]:
    """Publish the results in the working tree and all that waits; the run ids.

    Raises:
        TrackingError: The server did not take them.
    """
    tracking.publish(root)
    return tracking.deliver(root, say)


def _flow(target: str, *, remeasure: bool) -> list[Done]:
    from flows.stack import stack

    return stack(target, remeasure=remeasure)


def _publish(root: Path, say: Callable[[str], object]) -> None:
    if tracking.published(root):
        return
    try:
        sync(root, say)
    except TrackingError as error:
        say(str(error))


@contextmanager
def _engine(root: Path) -> Iterator[None]:
    """Prefect's settings: the server of ``make up`` if it answers, else one that lives as long as this run."""
    os.environ.update({k: v for k, v in QUIET.items() if k not in os.environ})
    home = Path(os.environ.setdefault("PREFECT_HOME", str(root / ".run" / "prefect")))
    home.mkdir(parents=True, exist_ok=True)
    if (api := service_state.prefect_api(root)) is not None:
        os.environ["PREFECT_API_URL"] = api
        yield
        return
    os.environ["PREFECT_API_URL"] = server.start(root)
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):  # its thread costs a second at the end
        yield


@contextmanager
def _watched(listener: Listener) -> Iterator[None]:
    """Hand the progress and the warnings of Prefect's run logs to the command line."""
    from prefect.logging.configuration import setup_logging

    setup_logging()  # the first call replaces all handlers
    handler = _Watch(listener)
    loggers = [logging.getLogger(n) for n in ("prefect.flow_runs", "prefect.task_runs")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)


class _Watch(logging.Handler):
    """Progress records and warnings for the listener, each text once."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(logging.INFO)
        self._listener = listener
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        done = getattr(record, PROGRESS, None)
        if isinstance(done, Done):
            self._listener.step(done)
        elif record.levelno == logging.WARNING and (text := record.getMessage()) not in self._said:
            self._said.add(text)
            self._listener.say(text)
