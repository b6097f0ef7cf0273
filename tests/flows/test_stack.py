"""The flow on a real, tiny graph and one Prefect server: states, artifacts, failures, another try, publishing."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from deltastack.errors import BusyError, StageError
from flows import dvc_adapter
from tasks import stage_runner
from tasks.stage_outcome import PROGRESS, Done, Outcome
from tests.flows.conftest import drain_events

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.xdist_group("prefect")]


def states(kind: str = "task") -> list[tuple[str, str | None]]:
    """Name and state of every run the server knows, oldest first.

    The server writes the states of task runs from a queue of events, so the call asks until every run has ended.
    """
    from prefect.client.orchestration import get_client

    give_up = time.monotonic() + 60
    with get_client(sync_client=True) as client:
        while True:
            found: list[Any] = list(client.read_task_runs() if kind == "task" else client.read_flow_runs())
            if all(r.state is not None and r.state.is_final() for r in found) or time.monotonic() > give_up:
                return [(r.name, r.state_name) for r in sorted(found, key=lambda r: r.created)]
            time.sleep(0.1)


def artifact(key: str) -> Any:
    """The newest artifact of that key."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
    from prefect.client.schemas.sorting import ArtifactSort

    with get_client(sync_client=True) as client:
        wanted = ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
        return client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC)[0].data


def test_a_run_says_per_stage_how_it_went(finished: Path) -> None:
    """With b's output deleted: a and c unchanged without a process, b restored with its age, d unchanged."""
    from flows.stack import stack

    (finished / "data" / "b.txt").unlink()
    done = {d.stage: d for d in stack("d")}

    assert {n: d.outcome for n, d in done.items()} == {
        "a": Outcome.UNCHANGED,
        "b": Outcome.RESTORED,
        "c": Outcome.UNCHANGED,
        "d": Outcome.UNCHANGED,
    }
    assert dict(states()[-4:])["b"] == "Restored"
    assert dict(states()[-4:])["a"] == "Unchanged"
    row = next(r for r in json.loads(artifact("stages")) if r["stage"] == "b")
    assert row["outcome"] == "restored"
    assert row["outputs"].startswith("data/b.txt ")
    assert "ago" in row["computed"] or row["computed"] == "just now"


@pytest.mark.usefixtures("finished")
def test_measuring_again_runs_the_measured_stage() -> None:
    """Remeasure with nothing changed: c ran, a and b are unchanged."""
    from flows.stack import stack

    done = {d.stage: d.outcome for d in stack("c", remeasure=True)}

    assert done == {"a": Outcome.UNCHANGED, "c": Outcome.RAN}


def test_a_failed_stage_fails_the_run_by_name(tiny: Path) -> None:
    """B refuses with exit code 3: the flow says so, c still ran, d was not run."""
    from flows.stack import stack

    (tiny / "params.yaml").write_text("n: 1\nfail: b\n")

    with pytest.raises(StageError, match=r"stage 'b' failed: b does not fit\nnot run: d") as failed:
        stack("d")
    assert failed.value.exit_code == 3
    outcomes = {r["stage"]: r["outcome"] for r in json.loads(artifact("stages"))}
    assert outcomes == {"a": "ran", "c": "ran", "b": "failed", "d": "failed"}
    assert states("flow")[-1][1] == "Failed"


def test_an_interrupt_ends_the_run_and_its_stages(tiny: Path) -> None:
    """Ctrl-C while a stage hangs: the flow ends interrupted, the stage is gone, the next run is not hindered."""
    from flows.stack import stack

    (tiny / "params.yaml").write_text("n: 1\nhang: a\n")
    handler = _OnLine("a says hello", lambda: os.kill(os.getpid(), signal.SIGINT))
    logger = logging.getLogger("prefect.task_runs")
    logger.addHandler(handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            stack("d")
    finally:
        logger.removeHandler(handler)
    with stage_runner.lock(tiny / ".run" / "locks" / "a.lock", "the stage lives on", pytest.fail):
        pass
    (tiny / "params.yaml").write_text("n: 1\n")

    assert [d.outcome for d in stack("d")] == [Outcome.RAN] * 4


class _OnLine(logging.Handler):
    """Does something when a line is logged."""

    def __init__(self, line: str, act: Callable[[], object]) -> None:
        super().__init__(logging.INFO)
        self._line, self._act = line, act

    def emit(self, record: logging.LogRecord) -> None:
        if self._line in record.getMessage():
            self._act()


@pytest.mark.usefixtures("tiny")
def test_measured_stages_have_the_machine_to_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """B and the measured c may both start after a: whoever is first, the other one is not inside at the same time."""
    from flows.stack import stack

    inside, seen, both = set[str](), list[frozenset[str]](), threading.Event()

    def bring(_found: object, stage: str, **_more: object) -> Done:
        inside.add(stage)
        if {"b", "c"} <= inside:
            both.set()
        if stage in "bc":
            both.wait(0.3)
        seen.append(frozenset(inside))
        inside.remove(stage)
        return Done(stage, Outcome.RAN)

    monkeypatch.setattr(dvc_adapter, "bring", bring)

    assert [d.stage for d in stack("d")] == ["a", "b", "c", "d"]
    assert {frozenset("b"), frozenset("c")} < set(seen)
    assert not both.is_set()


def test_results_are_published_and_shown(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a tracking server away: the run completes, the results wait in the outbox, the page shows the picture."""
    from flows import stack as module
    from tasks import outbox

    (finished / "reports").mkdir()
    joint = {"joint": 0.125, "joint.lo": 0.1, "joint.hi": 0.15}
    metrics = {"delta_total": {"fleet": {"energy_j": joint}}, "gap": {"fleet": {"energy_j": {"independent": -0.02}}}}
    (finished / "reports" / "metrics.json").write_text(json.dumps(metrics))
    (finished / "reports" / "waterfall.png").write_bytes(b"a picture")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{probe.getsockname()[1]}")
    monkeypatch.setattr(module, "RESULTS", "d")

    module.stack("d")

    assert states()[-1][1] == "Queued"
    assert len(outbox.pending(finished)) == 1
    page = artifact("delta-headline")
    assert r"| fleet, at capacity | energy | 12.5 % \[10.0 %, 15.0 %\] | -2.0 |" in page
    assert "data:image/png;base64,YSBwaWN0dXJl" in page


@pytest.mark.usefixtures("finished")
def test_no_event_worker_outlives_a_flow() -> None:
    """A flow starts an event worker; once drained none is left, so that none draws from ``random`` in a later test."""
    from prefect.events.worker import EventsWorker

    from flows.stack import stack

    stack("d")
    before = len(EventsWorker._instances)
    drain_events()

    assert before > 0
    assert not EventsWorker._instances


def test_only_a_busy_stage_gets_another_try(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Busy twice, then done: three calls and a Completed state; a stage that failed is called once."""
    from prefect import flow

    from tasks.reproduce import reproduce

    calls: list[str] = []

    def busy(say: Callable[[str], object]) -> Done:
        calls.append("busy")
        say("a line of the stage")
        if len(calls) < 3:
            raise BusyError("x: another run holds the graph, waiting")
        return Done("x", Outcome.RAN, 1.5)

    def broken(_say: Callable[[str], object]) -> Done:
        calls.append("broken")
        raise StageError("y failed")

    @flow
    def both() -> list[Any]:
        quick = reproduce.with_options(retry_delay_seconds=0, retries=5)
        return [quick("x", busy, return_state=True), quick("y", broken, return_state=True)]

    # Whether Prefect's loggers propagate depends on what set them up first in this process: listen to this one itself.
    logger = logging.getLogger("prefect.task_runs")
    monkeypatch.setattr(logger, "propagate", False)
    monkeypatch.setattr(logger, "handlers", [*logger.handlers, caplog.handler])
    with caplog.at_level(logging.INFO, "prefect.task_runs"):
        first, second = both(return_state=True).result(raise_on_failure=False)

    assert calls == ["busy", "busy", "busy", "broken"]
    assert (first.name, first.message) == ("Completed", "ran in 1.5 s")
    assert second.is_failed()
    progress = [r for r in caplog.records if hasattr(r, PROGRESS)]
    assert [r.getMessage() for r in progress] == ["x: ran in 1.5 s"]
