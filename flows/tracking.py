"""Publishing to MLflow, and the only module that imports it.

Results go to the outbox first (tasks.outbox) and leave it once a server has taken them, so a server that is
away costs seconds, never results. Every run carries the key of its results: what is there is found again and
completed, never doubled, also after a delivery that was killed half-way.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from deltastack.errors import TrackingError
from flows import mlflow_view, summary, tracking_page
from flows.tracking_page import shown
from tasks import outbox, stage_runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow import MlflowClient
    from mlflow.entities import Run

EXPERIMENT = "deltastack"
KEY = "deltastack.key"
COMPLETE = "deltastack.complete"
CAPS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",  # s; the default is 120
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # the default of 7 hangs 247 s on every call to a dead server
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
}
_BATCH = 100
"""Parameters, tags and metrics a request (MLflow takes 100 tags or parameters)."""


def address(root: Path) -> str:
    """Where results go: MLFLOW_TRACKING_URI, or the project's own SQLite file."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}"


def _hidden(text: str, uri: str) -> str:
    """``text`` of another's error with every secret of ``uri`` blotted out."""
    parts = urlsplit(uri)
    for secret in filter(None, (uri, parts.netloc if "@" in parts.netloc else "", parts.password, parts.query)):
        text = text.replace(secret, shown(uri) if secret == uri else "***")
    return text


def published(root: Path) -> bool:
    """Whether the results in the working tree are where they should be, and none waits; imports no MLflow."""
    uri = address(root)
    there = not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).is_file()
    return there and not outbox.pending(root) and outbox.delivered(root, outbox.key(root), shown(uri))


def publish(root: Path) -> str | None:
    """Queue the results in the working tree, unless the server has them already; their key."""
    name = outbox.key(root)
    if outbox.delivered(root, name, shown(address(root))) and published(root):
        return name
    return outbox.put(root)


def deliver(root: Path, say: Callable[[str], object] = print) -> list[str]:
    """Hand every waiting entry to the server, oldest first, each exactly once.

    Returns:
        The run ids, one an entry.

    Raises:
        TrackingError: The server did not take them; they stay in the outbox.
    """
    delivered: list[str] = []
    with stage_runner.lock(outbox.lock_path(root), "another process publishes, waiting", say):
        waiting = outbox.pending(root)
        if waiting:
            client = client_of(root)
        for path in waiting:
            content = outbox.read(path)
            try:
                run_id = _take(client, root, content, path.with_suffix(""))
            except Exception as error:  # MLflow raises whatever its transport raises
                raise TrackingError(_away(root, error, len(waiting) - len(delivered))) from error
            outbox.done(root, path, shown(address(root)), run_id)
            delivered.append(run_id)
    return delivered


def download(root: Path, run_id: str, folder: Path) -> Path:
    """The files of a run, laid out as a checkout has them, in ``folder``.

    Raises:
        TrackingError: The server does not answer, or has no such run, or it carries no tables.
    """
    client = client_of(root)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        client.get_run(run_id)
        client.download_artifacts(run_id, "", str(folder))
    except Exception as error:  # MLflow raises whatever its transport raises
        raise TrackingError(f"{shown(address(root))} gave no run {run_id}: {first_line(root, error)}") from error
    if not (folder / "params" / "stack.yaml").is_file():
        raise TrackingError(
            f"run {run_id} of {shown(address(root))} carries no tables of a whole pipeline run (a run of one layer?)"
        )
    return folder


def _away(root: Path, error: Exception, count: int) -> str:
    return (
        f"{shown(address(root))} did not take {count} set{'s' * (count > 1)} of results ({first_line(root, error)}); kept in "
        ".run/outbox, delivered by the next run or by `deltastack sync`"
    )


def first_line(root: Path, error: Exception) -> str:
    """The first line of another's error, without secrets of the address."""
    return _hidden(next(iter(str(error).splitlines()), "") or type(error).__name__, address(root))[:160]


def client_of(root: Path) -> MlflowClient:
    """A client whose patience is capped, on a database that was made once."""
    for name, value in CAPS.items():
        os.environ.setdefault(name, value)
    uri = address(root)
    if uri.startswith("sqlite:"):
        prepare(root)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def prepare(root: Path) -> None:
    """Make or upgrade the SQLite database, once a version: two processes that do it together break it.

    Raises:
        TrackingError: MLflow could not.
    """
    uri = address(root)
    marker = root / ".run" / f"mlflow-{metadata.version('mlflow')}"
    with stage_runner.lock(root / ".run" / "locks" / "mlflow-db.lock", "another process makes the tracking database, waiting"):
        if marker.is_file() and Path(uri.removeprefix("sqlite:///")).is_file():
            if (was := marker.read_text().strip()) != uri:
                _moved(was, uri)
                marker.write_text(f"{uri}\n")
            return
        command = [sys.executable, "-m", "mlflow", "db", "upgrade", uri]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **CAPS})
        if done.returncode != 0:
            raise TrackingError(f"mlflow could not make its database {uri}: {done.stderr.strip().splitlines()[-1:]}")
        marker.write_text(f"{uri}\n")


def _moved(was: str, uri: str) -> None:
    """Let a database that was moved or copied with its checkout look for artifacts beside itself; MLflow keeps whole paths."""
    database = Path(uri.removeprefix("sqlite:///"))
    places = [Path(u.removeprefix("sqlite:///")).with_name("mlartifacts").as_uri() for u in (was, uri)]
    with closing(sqlite3.connect(database)) as there, there:
        there.execute("UPDATE experiments SET artifact_location = REPLACE(artifact_location, ?, ?)", places)
        there.execute("UPDATE runs SET artifact_uri = REPLACE(artifact_uri, ?, ?)", places)


def _take(client: MlflowClient, root: Path, content: dict[str, Any], files: Path) -> str:
    """Make, find or complete the run of one entry and of its layers; the run id."""
    experiment = _experiment(client, root)
    note = "\n".join(summary.card(files))
    run = _run(
        client,
        experiment,
        content["key"],
        {
            **content["tags"],
            **mlflow_view.tags(content),
            "mlflow.runName": mlflow_view.name(content),
            "mlflow.note.content": note,
        },
    )
    if run.data.tags.get(COMPLETE) != "true":
        _log(client, run, mlflow_view.metrics(content), content["params"])
        _log_workload(client, run, files / "data" / "workload.parquet")
        _log_files(client, run, files)
        totals = mlflow_view.view(mlflow_view.metrics(content), run.info.start_time)
        client.set_experiment_tag(experiment, mlflow_view.VIEW, totals)
        for layer in content["layers"]:
            _take_layer(client, experiment, run, layer, content)
        _finish(client, run)
    tracking_page.note(root, experiment, run.info.run_id)
    return str(run.info.run_id)


def _log_files(client: MlflowClient, run: Run, files: Path) -> None:
    """Report and tables as a checkout has them; at the top, what the compare page shows side by side."""
    client.log_artifacts(run.info.run_id, str(files))
    table = mlflow_view.table(files)
    if table is not None:
        client.log_text(run.info.run_id, table, mlflow_view.TABLE)
    for picture in mlflow_view.pictures(files):
        client.log_artifact(run.info.run_id, str(picture))


def _take_layer(client: MlflowClient, experiment: str, parent: Run, layer: str, content: dict[str, Any]) -> None:
    tags = {"mlflow.parentRunId": parent.info.run_id, "mlflow.runName": f"layer={layer}", "layer": layer}
    run = _run(client, experiment, f"{content['key']}/{layer}", tags)
    params = {n: v for n, v in content["params"].items() if n.startswith(f"{layer}.")}
    _log(client, run, mlflow_view.of_layer(content, layer), params)
    _finish(client, run)


def _experiment(client: MlflowClient, root: Path) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        local = address(root).startswith("sqlite:")
        place = (root / "mlartifacts").as_uri() if local else None
        return str(client.create_experiment(EXPERIMENT, place, tags=mlflow_view.EXPERIMENT_TAGS))
    for tag, value in mlflow_view.EXPERIMENT_TAGS.items():
        if tag not in found.tags:
            client.set_experiment_tag(found.experiment_id, tag, value)
    return str(found.experiment_id)


def _run(client: MlflowClient, experiment: str, name: str, tags: dict[str, str]) -> Run:
    """The one run with that key; twins of a lost answer are deleted."""
    found = client.search_runs([experiment], f"tags.`{KEY}` = '{name}'", order_by=["attributes.start_time ASC"])
    for twin in found[1:]:
        client.delete_run(twin.info.run_id)
    if found:
        return found[0]
    return client.create_run(experiment, tags={KEY: name, **{n: str(v)[:5000] for n, v in tags.items()}})


def _log(client: MlflowClient, run: Run, metrics: dict[str, float], params: dict[str, str]) -> None:
    """One value a metric, no steps; what an interrupted delivery has logged already is left."""
    from mlflow.entities import Metric, Param

    at = run.info.start_time
    rows = [Metric(n, v, at, 0) for n, v in metrics.items() if n not in run.data.metrics]
    pairs = [Param(n, v[:500]) for n, v in params.items() if n not in run.data.params]
    for some in _batches(rows):
        client.log_batch(run.info.run_id, metrics=some)
    for some in _batches(pairs):
        client.log_batch(run.info.run_id, params=some)


def _batches(rows: list[Any]) -> Iterator[list[Any]]:
    return (rows[i : i + _BATCH] for i in range(0, len(rows), _BATCH))


def _log_workload(client: MlflowClient, run: Run, path: Path) -> None:
    """The workload as the run's input data set."""
    if (run.inputs and run.inputs.dataset_inputs) or not path.is_file():
        return
    import pyarrow.parquet as pq
    from mlflow.entities import Dataset, DatasetInput, InputTag

    shape = pq.read_metadata(path)
    columns = [{"name": f.name, "type": str(f.type)} for f in pq.read_schema(path)]
    dataset = Dataset(
        name="workload",
        digest=hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(),
        source_type="local",
        source=json.dumps({"uri": "data/workload.parquet"}),
        schema=json.dumps({"columns": columns}),
        profile=json.dumps({"num_rows": shape.num_rows}),
    )
    client.log_inputs(run.info.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "workload")])])


def _finish(client: MlflowClient, run: Run) -> None:
    client.set_tag(run.info.run_id, COMPLETE, "true")
    client.set_terminated(run.info.run_id, "FINISHED")
