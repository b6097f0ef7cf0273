"""The flow ``stack``: every stage that a target needs, brought up to date in the order that dvc.yaml declares.

One run at a time holds the graph of a checkout; another one says so and waits. Stages that changed nothing are
told from one status call, without a process. Measured stages run alone. Publishing never fails a run.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner

from deltastack.errors import DeltastackError, StageError, TrackingError
from flows import dvc_adapter, prefect_artifacts, process_group, receipts, retention, schedule, tracking
from flows.process_group import LIVE
from tasks import outbox, stage_runner
from tasks.reproduce import reproduce
from tasks.stage_outcome import Done, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect.client.schemas.objects import State
    from prefect.futures import PrefectFuture

RESULTS = "aggregate"
"""The stage whose outputs are published."""
WORKERS = max(2, (os.cpu_count() or 2) // 2)
RUNNER: Any = ThreadPoolTaskRunner(max_workers=WORKERS)


@flow(name="stack", task_runner=RUNNER)
def stack(target: str = RESULTS, *, remeasure: bool = False, tidy: bool = False) -> list[Done]:
    """Bring ``target`` and all it needs up to date, publish the results, and show them.

    Args:
        target: A stage of dvc.yaml.
        remeasure: Measure again, even if nothing changed.
        tidy: Drop what is older than the newest runs afterwards (``deltastack tidy``).

    Returns:
        One entry a stage, in the order of the graph.

    Raises:
        StageError: Stages failed; all of them are named.
        UnknownNameError: There is no such stage.
    """
    root, logger = stage_runner.root_from(Path.cwd()), get_run_logger()
    with process_group.turn(root, logger.warning):
        LIVE.reset()
        dvc_adapter.mend(root, logger.warning)
        found = dvc_adapter.survey(root)
        todo = schedule.plan(dvc_adapter.select(found, target), found.stale, remeasure=remeasure)
        finished, failed = _bring_all(found, todo)
        prefect_artifacts.show_stages(finished, failed)
        if failed:
            raise _all_of(failed)
        if RESULTS in todo.order:
            publish(root)
            prefect_artifacts.show_results(root)
        if tidy:
            drop_old(root)
    return finished


@task(cache_policy=NO_CACHE)
def publish(root: Path) -> State[str]:
    """Queue the results and hand over all that waits; a server that is away is a warning."""
    logger = get_run_logger()
    tracking.publish(root)
    try:
        runs = tracking.deliver(root, logger.info)
    except TrackingError as error:
        logger.warning("%s", error)
        return Completed(name="Queued", message=str(error))
    return Completed(message=f"runs published: {', '.join(runs) or 'none, the server has these results'}")


@task(cache_policy=NO_CACHE)
def drop_old(root: Path) -> State[str]:
    """Apply the retention; a store that cannot be tidied now is a warning."""
    logger = get_run_logger()
    try:
        found = retention.apply(root, logger.info, dry=False)
    except DeltastackError as error:
        logger.warning("%s", error)
        return Completed(name="Kept", message=str(error))
    freed = sum(kept.freed for kept in found) / 2**20
    return Completed(message=f"{sum(kept.dropped for kept in found)} old entries removed, {freed:.1f} MiB freed")


def _bring_all(found: dvc_adapter.Survey, todo: schedule.Plan) -> tuple[list[Done], dict[str, str | StageError]]:
    """Submit every stage after its upstream ones; what is up to date, and why the rest is not."""
    gate = schedule.Gate()
    futures: dict[str, PrefectFuture[Any]] = {}
    try:
        for stage in todo.order:
            after = [futures[u] for u in todo.upstream[stage]]
            futures[stage] = reproduce.submit(
                stage=stage, bring=_how(found, todo, gate, stage), wait_for=after, return_state=False
            )
        for future in futures.values():
            future.wait()
    except BaseException:
        LIVE.stop()
        raise
    states = {stage: future.state for stage, future in futures.items()}
    finished = [s.result() for s in states.values() if s.is_completed()]
    return finished, {n: _why(s) for n, s in states.items() if not s.is_completed()}


def _how(found: dvc_adapter.Survey, todo: schedule.Plan, gate: schedule.Gate, stage: str) -> Callable[..., Done]:
    """The call that brings ``stage`` up to date."""
    if stage not in todo.work:
        return partial(_unchanged, found, stage)
    return partial(_in_turn, found, todo, gate, stage)


def _unchanged(found: dvc_adapter.Survey, stage: str, _say: object) -> Done:
    return receipts.complete(found.root, Done(stage, Outcome.UNCHANGED), found.cache)


def _in_turn(
    found: dvc_adapter.Survey, todo: schedule.Plan, gate: schedule.Gate, stage: str, say: Callable[[str], object]
) -> Done:
    more = {outbox.FLOW_RUN: str(flow_run.id or "")}
    with gate.turn(alone=stage in todo.exclusive):
        return dvc_adapter.bring(found, stage, force=stage in todo.forced, say=say, more=more)


def _why(state: State[Any]) -> str | StageError:
    """The stage's own error, or that it was not started."""
    if not state.is_failed():
        return "not run: a stage before it failed"
    error = state.result(raise_on_failure=False)
    return error if isinstance(error, StageError) else StageError(f"{type(error).__name__}: {error}")


def _all_of(failed: dict[str, str | StageError]) -> StageError:
    errors = [e for e in failed.values() if isinstance(e, StageError)]
    skipped = [n for n, e in failed.items() if not isinstance(e, StageError)]
    text = "\n".join(map(str, errors)) or "no stage ran"
    error = StageError(f"{text}\nnot run: {', '.join(skipped)}" if skipped else text)
    error.exit_code = errors[0].exit_code if errors else 1
    return error
