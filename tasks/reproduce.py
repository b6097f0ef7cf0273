"""The Prefect task that brings one stage of the graph up to date.

It does not know DVC: the flow hands it the call to make. It adds what the operator sees: the lines of the
stage in the run's log, a named state (Completed, Unchanged, Restored), and another try where another
process holds the files of the stage.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed

from deltastack.errors import BusyError
from tasks.stage_outcome import PROGRESS, Done, Outcome, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect.client.schemas.objects import State, TaskRun
    from prefect.tasks import Task

STATES = {Outcome.RAN: "Completed", Outcome.UNCHANGED: "Unchanged", Outcome.RESTORED: "Restored"}
RETRY_DELAYS_S = [*[2.0] * 10, *[10.0] * 10, *[120.0] * 30]
"""Another process may hold a stage for as long as a measurement takes: an hour of patience (Prefect allows 50 delays)."""


def worth_another_try(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Only a stage that another process holds; a stage that failed would fail again."""
    return isinstance(state.result(raise_on_failure=False), BusyError)


@task(
    task_run_name="{stage}",
    cache_policy=NO_CACHE,
    retries=len(RETRY_DELAYS_S),
    retry_delay_seconds=RETRY_DELAYS_S,
    retry_condition_fn=worth_another_try,
)
def reproduce(stage: str, bring: Callable[[Callable[[str], object]], Done]) -> State[Done]:
    """Bring ``stage`` up to date.

    Args:
        stage: For the name of the run.
        bring: Does it; it is given where to put the lines it prints.

    Raises:
        BusyError: Another process holds the stage, also after an hour.
        StageError: The stage failed.
    """
    logger = get_run_logger()
    try:
        done = bring(logger.info)
    except BusyError as error:
        logger.warning("%s", error)
        raise
    words = told(done, datetime.now(UTC))
    logger.info("%s: %s", stage, words, extra={PROGRESS: done})
    return Completed(name=STATES[done.outcome], message=words, data=done)
