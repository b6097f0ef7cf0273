"""Retention in Prefect's database: ``python -m flows.tidy_prefect MOST count|apply`` prints JSON; Prefect's own vacuum deletes.

It is a process of its own, since Prefect's server is heavy and reads its settings once. It works on SQLite and on PostgreSQL
(PREFECT_SERVER_DATABASE_CONNECTION_URL), beside a running server.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from deltastack.errors import PreflightError
from flows.tidy_tracking import compact
from tasks import tidy

if TYPE_CHECKING:
    from prefect.server.database import PrefectDBInterface

STORE = "Prefect"
FLOW = "stack"
_LEAST = timedelta(hours=1, seconds=1)
"""Prefect's vacuum takes no shorter period."""


def database(root: Path, most: int, *, apply: bool) -> tidy.Kept:
    """Drop all but the newest ``most`` ended flow runs, with their tasks, logs and artifacts.

    Raises:
        PreflightError: Prefect could not.
    """
    home = Path(os.environ.get("PREFECT_HOME") or root / ".run" / "prefect")
    file, ours = home / "prefect.db", "PREFECT_SERVER_DATABASE_CONNECTION_URL" not in os.environ
    if ours and not file.is_file():
        return tidy.Kept(STORE, 0, 0, 0, 0)
    byte = _size(file) if ours else 0
    words = [sys.executable, "-m", "flows.tidy_prefect", str(most), "apply" if apply else "count"]
    code = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PREFECT_HOME": str(home), "PYTHONPATH": code, "PREFECT_LOGGING_LEVEL": "CRITICAL"}
    done = subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PreflightError(f"Prefect's database cannot be tidied: {' '.join(done.stderr.strip().splitlines()[-1:])[:300]}")
    said = json.loads(done.stdout.splitlines()[-1])
    if apply and ours:
        compact(file)
    freed = byte - _size(file) if apply and ours else 0
    return tidy.Kept(STORE, said["entries"], said["dropped"], byte, freed, "" if ours else "on a server of its own")


def _size(file: Path) -> int:
    return sum(tidy.size(p) for p in file.parent.glob(f"{file.name}*"))


async def _vacuum(most: int, *, apply: bool) -> dict[str, int]:
    """Count the ended runs of the flow, and let Prefect delete the old ones."""
    import sqlalchemy as sa
    from prefect.server.database import provide_database_interface
    from prefect.server.schemas.states import TERMINAL_STATES
    from prefect.server.services import db_vacuum
    from prefect.settings import PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD, temporary_settings

    db: PrefectDBInterface = provide_database_interface()
    wanted = sa.and_(
        db.FlowRun.parent_task_run_id.is_(None), db.FlowRun.state_type.in_(TERMINAL_STATES), db.FlowRun.end_time.is_not(None)
    )
    async with db.session_context() as session:
        ends = list((await session.scalars(sa.select(db.FlowRun.end_time).where(wanted).order_by(db.FlowRun.end_time))).all())
    now = datetime.now(UTC)
    between = (ends[-most - 1] + (ends[-most] - ends[-most - 1]) / 2) if len(ends) > most else None
    cutoff = None if between is None else min(between, now - _LEAST)
    old = sum(end < cutoff for end in ends) if cutoff is not None else 0
    if apply and cutoff is not None:
        with temporary_settings({PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD: now - cutoff}):
            await db_vacuum.vacuum_old_flow_runs(db=db)
            await db_vacuum.vacuum_orphaned_logs(db=db)
            await db_vacuum.vacuum_orphaned_artifacts(db=db)
            await db_vacuum.vacuum_stale_artifact_collections(db=db)
            await db_vacuum.vacuum_old_events(db=db)
    return {"entries": len(ends), "dropped": old}


def main() -> None:
    """Do it, and print what was done."""
    most, word = sys.argv[1:]
    sys.stdout.write(json.dumps(asyncio.run(_vacuum(int(most), apply=word == "apply"))) + "\n")


if __name__ == "__main__":
    main()
