"""Publishing: exactly once, never lost, never slow, whatever the server does."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deltastack.errors import TrackingError
from flows import mlflow_view, prefect_artifacts, result_sets, tracking
from tasks import outbox
from tests.report.project import finished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow import MlflowClient

HOME = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables, made once for this module."""
    root = tmp_path_factory.mktemp("database")
    (root / ".run").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tracking.prepare(root)
    return root


@pytest.fixture
def project(tmp_path: Path, database: Path) -> Path:
    """Results of a run, and an empty tracking database."""
    root = tmp_path / "project"
    for name in ("data", "reports", "params"):
        (root / name).mkdir(parents=True)
    shutil.copytree(database / ".run", root / ".run")
    shutil.copyfile(database / "mlflow.db", root / "mlflow.db")
    (root / "params" / "stack.yaml").write_text("layers: [idle]\neffort: quick\n")
    (root / "params" / "layers").mkdir()
    (root / "params" / "layers" / "idle.yaml").write_text("timeout_s: 2.5\n")
    pq.write_table(pa.table({"request": [0, 1, 2]}), root / "data" / "workload.parquet")
    (root / "reports" / "report.html").write_text("<p>page</p>")
    (root / "reports" / "figures").mkdir()
    (root / "reports" / "figures" / "waterfall-fleet.png").write_bytes(b"a picture")
    write_metrics(root, 0.1)
    return root


def write_metrics(root: Path, joint: float) -> None:
    """Results with that joint saving."""
    said = {
        "schema": 4,
        "headline": ["the stack saves"],
        "totals": [],
        "card": [["Layers on", ["idle"]], ["Machine", ["fleet: simulation", "testbed: here"]]],
        "canonical": False,
        "table": [],
        "targets": [],
        "workload": "a trace",
        "text_only": "",
    }
    (root / "reports" / "summary.json").write_text(json.dumps(said))
    metrics = {
        "delta_total": {"fleet": {"energy_j": {"joint": joint}}},
        "layer/idle/delta": {"fleet": {"energy_j": 0.1, "io_byte": 0.3}},
        "canonical": False,
    }
    (root / "reports" / "metrics.json").write_text(json.dumps(metrics))
    headline = {"fleet": {"energy_j": {"together": joint, "gap": 0.02}}}
    (root / "reports" / "headline.json").write_text(json.dumps(headline))


def client(root: Path) -> MlflowClient:
    """A client of the project's database."""
    return tracking.client_of(root)


def runs(root: Path) -> list[tuple[str, dict[str, float], dict[str, str]]]:
    """All active runs: id, metrics, tags; oldest first."""
    here = client(root)
    experiment = here.get_experiment_by_name(tracking.EXPERIMENT)
    found = here.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return [(r.info.run_id, r.data.metrics, r.data.tags) for r in found]


def test_a_run_carries_everything(project: Path) -> None:
    """Parent and layer, metrics by their dotted names, parameters, tags, description, artifacts, the workload as input."""
    name = tracking.publish(project)
    (run_id,) = tracking.deliver(project)
    here = client(project)
    parent = here.get_run(run_id)
    child_id, child = next((i, tags) for i, _, tags in runs(project) if tags.get("mlflow.parentRunId") == run_id)

    assert parent.data.metrics == {"fleet.energy_j.together": 0.1, "fleet.energy_j.gap": 0.02}
    every = json.loads(Path(here.download_artifacts(run_id, "reports/metrics.json")).read_text())
    assert every["layer/idle/delta"]["fleet"] == {"energy_j": 0.1, "io_byte": 0.3}
    assert here.get_run(child_id).data.metrics == {"layer/idle/delta.fleet.energy_j": 0.1}
    assert parent.data.params == {"stack.layers": "idle", "stack.effort": "quick", "idle.timeout_s": "2.5"}
    assert parent.data.tags[tracking.KEY] == name
    assert parent.data.tags["canonical"] == "false"
    note = parent.data.tags["mlflow.note.content"]
    assert note.endswith("**the stack saves**\n\n- **Layers on:** idle\n- **Machine:** fleet: simulation; testbed: here")
    assert note in prefect_artifacts.markdown(project)
    assert parent.info.status == "FINISHED"
    assert {a.path for a in here.list_artifacts(run_id)} == {"data", "params", "reports", "totals.csv", "waterfall-fleet.png"}
    assert parent.data.tags["mlflow.source.name"] == "deltastack run (dvc)"
    assert parent.inputs.dataset_inputs[0].dataset.name == "workload"
    assert json.loads(parent.inputs.dataset_inputs[0].dataset.profile) == {"num_rows": 3}
    assert child["layer"] == "idle"
    assert len(here.get_metric_history(run_id, "fleet.energy_j.together")) == 1


def test_the_pages_are_set_up_for_the_reader(project: Path) -> None:
    """The experiment has the saved view of its totals and says how to read it, also an older one; a text of one's own stays."""
    here = client(project)
    made = here.create_experiment(tracking.EXPERIMENT, (project / "mlartifacts").as_uri(), tags={"mlflow.note.content": "mine"})
    tracking.publish(project)
    tracking.deliver(project)
    tags = here.get_experiment(made).tags
    view = json.loads(tags[mlflow_view.VIEW])

    assert tags["mlflow.note.content"] == "mine"
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert view["name"] == "Totals"
    assert json.loads(view["state"])["columnOrder"] == ["metrics.`fleet.energy_j.together`", "metrics.`fleet.energy_j.gap`"]


def test_the_same_results_are_published_once(project: Path) -> None:
    """Published again, also from a fresh outbox as ``dvc repro`` makes it: still one parent and one child."""
    tracking.publish(project)
    tracking.deliver(project)
    assert tracking.published(project)

    tracking.publish(project)
    outbox.put(project)
    assert not tracking.published(project)
    tracking.deliver(project)

    assert tracking.published(project)
    assert len(runs(project)) == 2
    write_metrics(project, 0.2)
    assert not tracking.published(project)
    tracking.publish(project)
    tracking.deliver(project)
    assert len(runs(project)) == 4


def test_a_delivery_that_was_killed_is_completed(project: Path) -> None:
    """A run with the key but without its end is found, completed, and no metric is logged twice; a twin is deleted."""
    name = tracking.publish(project)
    here = client(project)
    experiment = here.create_experiment(tracking.EXPERIMENT, (project / "mlartifacts").as_uri())
    first = here.create_run(experiment, start_time=1, tags={tracking.KEY: str(name)})
    here.log_metric(first.info.run_id, "fleet.energy_j.together", 0.1)
    here.create_run(experiment, start_time=2, tags={tracking.KEY: str(name)})

    (run_id,) = tracking.deliver(project)

    assert run_id == first.info.run_id
    assert len(here.get_metric_history(run_id, "fleet.energy_j.together")) == 1
    assert len(runs(project)) == 2
    assert here.get_run(run_id).data.tags[tracking.COMPLETE] == "true"


def test_a_server_that_refuses_costs_seconds_and_loses_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens: a TrackingError that says where the results are; the next delivery, elsewhere, has them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{probe.getsockname()[1]}")
    tracking.publish(project)
    with pytest.raises(TrackingError, match=r"did not take 1 set of results .* kept in .run/outbox.*deltastack sync"):
        tracking.deliver(project)
    assert len(outbox.pending(project)) == 1

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert len(tracking.deliver(project)) == 1
    assert len(runs(project)) == 2


@pytest.fixture
def black_hole() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_a_server_that_never_answers_is_given_up(project: Path, black_hole: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts and stays silent: given up after the capped time (asserted as a ratio to the cap), results kept."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", black_hole)
    monkeypatch.setitem(tracking.CAPS, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
    tracking.publish(project)
    begin = time.monotonic()
    with pytest.raises(TrackingError, match="did not take 1 set"):
        tracking.deliver(project)

    assert time.monotonic() - begin < 30 * 1  # the client's own default would be 120 s a try, and seven tries
    assert len(outbox.pending(project)) == 1


def test_two_processes_that_drain_at_once_deliver_once(project: Path) -> None:
    """Two waiting sets, two processes: each set is one parent and one child."""
    outbox.put(project)
    write_metrics(project, 0.3)
    outbox.put(project)
    code = "import sys; from pathlib import Path; from flows import tracking; tracking.deliver(Path(sys.argv[1]))"
    environment = {**os.environ, "PYTHONPATH": str(HOME)}
    both = [subprocess.Popen([sys.executable, "-c", code, str(project)], env=environment) for _ in range(2)]

    assert [p.wait() for p in both] == [0, 0]
    assert not outbox.pending(project)
    assert len(runs(project)) == 4
    assert len({tags[tracking.KEY] for _, _, tags in runs(project)}) == 4


def test_a_published_run_comes_back(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was published to MLflow is compared with this checkout: the same results do not differ."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = finished(tmp_path / "here")
    shutil.copytree(database / ".run", root / ".run")
    shutil.copyfile(database / "mlflow.db", root / "mlflow.db")
    (root / "reports").mkdir()
    (root / "reports/metrics.json").write_text(json.dumps({"canonical": True}))
    (root / "data/workload.parquet").write_bytes(b"")
    outbox.put(root)
    (root / ".run/outbox" / f"{outbox.key(root)}/data/workload.parquet").unlink()
    (run_id,) = tracking.deliver(root)

    found = result_sets.side(root, run_id, tmp_path / "scratch")
    assert found.analysis.total.equals(result_sets.side(root, str(root), tmp_path).analysis.total)
    with pytest.raises(TrackingError, match="gave no run 0000"):
        result_sets.side(root, "0" * 32, tmp_path / "scratch")


def test_what_lets_one_in_is_never_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """User, password and token of the address stand in no message and in no receipt; nor what the transport says of it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@127.0.0.1:9/a?token=t0ken")
    error = ConnectionError("HTTPConnectionPool: http://me:s3cret@127.0.0.1:9/a?token=t0ken refused me:s3cret@127.0.0.1:9 s3cret")

    said = tracking._away(tmp_path, error, 1)
    assert "s3cret" not in said
    assert "t0ken" not in said
    assert said.startswith("http://127.0.0.1:9/a did not take 1 set of results")
    assert tracking.shown("sqlite:////x/mlflow.db") == "sqlite:////x/mlflow.db"


def test_artifacts_of_a_moved_checkout_lie_beside_it(project: Path, tmp_path: Path) -> None:
    """MLflow keeps whole paths: after a move they name the new place, for what was published before and for what comes."""
    outbox.put(project)
    (before,) = tracking.deliver(project)
    moved = project.rename(tmp_path / "moved")
    write_metrics(moved, 0.75)
    outbox.put(moved)
    (after,) = tracking.deliver(moved)

    here = client(moved)
    assert not project.exists()
    for run_id in (before, after):
        assert here.get_run(run_id).info.artifact_uri.startswith((moved / "mlartifacts").as_uri())
        assert here.list_artifacts(run_id)
