"""``python -m tests.flows.prefect_nights FIRST COUNT``: flow runs of past nights in the database of PREFECT_HOME.

The rows are written by Prefect's own server code, since its interface over HTTP dates every state with today.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

NIGHT_ONE = datetime(2025, 1, 1, 2, 15, tzinfo=UTC)
"""Long past, for Prefect's vacuum goes by the clock of today."""
TASKS = 5
LINES = 40
"""Of the log of a run that measures again; a run of the graph has as many."""
ARTIFACT = "x" * 20_000


async def write(first: int, count: int) -> None:
    """One completed run a night with its tasks, log lines and artifact."""
    from prefect.server import models
    from prefect.server.database import provide_database_interface
    from prefect.server.schemas import core

    db = provide_database_interface()
    await db.create_db()
    for day in range(first, first + count):
        async with db.session_context(begin_transaction=True) as session:
            flow = await models.flows.create_flow(session=session, flow=core.Flow(name="stack"))
            await _night(session, flow.id, NIGHT_ONE + timedelta(days=day))


async def _night(session: AsyncSession, flow: Any, when: datetime) -> None:
    from prefect.server import models
    from prefect.server.schemas import actions, core
    from prefect.server.schemas.states import Completed

    made = core.FlowRun(flow_id=flow, state=Completed(timestamp=when))
    run = await models.flow_runs.create_flow_run(session=session, flow_run=made)
    for n in range(TASKS):
        task = core.TaskRun(flow_run_id=run.id, task_key="reproduce", dynamic_key=str(n), state=Completed(timestamp=when))
        await models.task_runs.create_task_run(session=session, task_run=task)
    lines = [
        actions.LogCreate(name="prefect.flow_runs", level=20, message=f"line {n} of a stage", timestamp=when, flow_run_id=run.id)
        for n in range(LINES)
    ]
    await models.logs.create_logs(session=session, logs=lines)
    artifact = core.Artifact(key="stages", type="table", data=ARTIFACT, flow_run_id=run.id)
    await models.artifacts.create_artifact(session=session, artifact=artifact)


if __name__ == "__main__":
    asyncio.run(write(*map(int, sys.argv[1:])))
