"""Real servers: `make up`, a scheduled run to its end, a cancelled one, MLflow over HTTP, `make down`."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil
import pytest

from flows import service_state, tracking
from flows.services import HOST, PORTS
from tasks import stage_runner
from tests.flows.tiny_project import make_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOME = Path(__file__).parents[2]
PATIENCE_S = 150
T = TypeVar("T")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The tiny graph with this project's code and deployments, scheduled every ten seconds; everything is down at the end.

    Something else has Prefect's customary port.
    """
    root = make_project(tmp_path / "tiny")
    for name in ("flows", "tasks", "deltastack", "prefect.toml"):
        (root / name).symlink_to(HOME / name)
    text = (HOME / "prefect.yaml").read_text()
    text = re.sub(r"- cron: .*", "- interval: 10", text).replace("remeasure: true", "remeasure: true, target: d")
    (root / "prefect.yaml").write_text(re.sub(r"\n +timezone: .*", "", text))
    monkeypatch.setenv("PREFECT_HOME", str(root / ".run" / "prefect"))
    with socket.socket() as other:
        with suppress(OSError):  # somebody has the customary port already, which is what is wanted
            other.bind((HOST, PORTS["prefect"]))
            other.listen()
        yield root
        services(root, "down")


def services(root: Path, word: str) -> list[str]:
    """The lines of ``python -m flows.services WORD``."""
    command = [sys.executable, "-m", "flows.services", word]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def ask(root: Path, path: str, body: dict[str, Any]) -> Any:
    """The answer of the Prefect server to a POST."""
    url = f"{service_state.prefect_api(root)}/{path}"
    request = urllib.request.Request(  # noqa: S310 - our own loopback server
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - as above
        return json.load(reply)


def awaited(look: Callable[[], T | None], what: str) -> T:
    """What ``look`` finds in the end."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if (found := look()) is not None:
            return found
        time.sleep(0.3)
    pytest.fail(f"waited {PATIENCE_S} s for {what}")


def a_run(root: Path, *kinds: str) -> dict[str, Any] | None:
    """A scheduled run in one of these states."""
    found = ask(root, "flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": list(kinds)}}}})
    return next((r for r in found if r["auto_scheduled"]), None)


@pytest.mark.slow
@pytest.mark.xdist_group("servers")
def test_scheduled_runs_on_real_servers(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up is idempotent, its pages ask its server; a scheduled run completes, a cancelled one ends whole; down stops all."""
    first = services(project, "up")
    began = ["starting Prefect server", "starting MLflow", "deploying prefect.yaml", "starting Prefect worker"]
    stand = ["Prefect server", "Prefect worker", "MLflow", "nightly runs by itself, every 10 s; `make down` ends that"]
    assert [line.split("  ")[0] for line in first] == [*began, *stand]
    assert services(project, "up") == first[len(began) :]
    with urllib.request.urlopen(f"{service_state.load(project)['prefect'].url}/ui-settings", timeout=30) as reply:  # noqa: S310 - as above
        assert json.load(reply)["api_url"] == service_state.prefect_api(project)

    refuse_strangers(project)

    completed = awaited(lambda: a_run(project, "COMPLETED"), "a scheduled run that completes")
    assert completed["auto_scheduled"]
    assert (project / "data" / "d.txt").is_file()

    (project / "params.yaml").write_text("n: 2\nhang: a\n")
    said = project / ".run" / "logs" / "worker.log"
    before = said.read_text().count("a says hello")
    awaited(lambda: said.read_text().count("a says hello") > before or None, "a stage that hangs")
    running = awaited(lambda: a_run(project, "RUNNING"), "the run that hangs")
    (project / "params.yaml").write_text("n: 2\n")
    ask(project, f"flow_runs/{running['id']}/set_state", {"state": {"type": "CANCELLING"}, "force": False})
    awaited(lambda: a_run(project, "CANCELLED"), "the cancelled run")
    with stage_runner.lock(project / ".run" / "locks" / "a.lock", "the stage lives on", pytest.fail):
        pass

    publish_over_http(project, monkeypatch)
    pids = [psutil.Process(s.pid) for s in service_state.load(project).values()]
    assert services(project, "down") == ["worker stopped", "prefect stopped", "mlflow stopped"]
    assert not any(p.is_running() for p in pids)
    assert not service_state.path(project).exists()


def refuse_strangers(project: Path) -> None:
    """A request that calls this machine by a name of the web is refused by both servers, whatever it asks for."""
    for name, path in (("prefect", "/api/deployments/filter"), ("mlflow", "/api/2.0/mlflow/experiments/search")):
        url = f"{service_state.load(project)[name].url}{path}"
        request = urllib.request.Request(url, b"{}", {"Host": "evil.example", "Content-Type": "application/json"})  # noqa: S310 - as above
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30)  # noqa: S310 - as above
        with refused.value as reply:
            assert reply.code in {400, 403}


def publish_over_http(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results go to the running server, once."""
    (project / "reports").mkdir()
    (project / "reports" / "metrics.json").write_text(json.dumps({"delta_total": {"fleet": {"energy_j": {"joint": 0.125}}}}))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(service_state.load(project)["mlflow"].url))
    for _ in range(2):
        tracking.publish(project)
        tracking.deliver(project)
    client = tracking.client_of(project)
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    (run,) = client.search_runs([experiment.experiment_id])

    page = services(project, "status")[3]
    assert page.split()[-1].endswith(f"/#/experiments/{experiment.experiment_id}/runs/{run.info.run_id}/artifacts/totals.csv")
    assert run.data.metrics == {"delta_total.fleet.energy_j.joint": 0.125}
    assert [a.path for a in client.list_artifacts(run.info.run_id)] == ["reports", "totals.csv"]


def test_a_service_of_another_time_is_not_ours(tmp_path: Path) -> None:
    """The id of a living process with another start time counts as gone: ids are used again."""
    me = psutil.Process(os.getpid())
    ours = service_state.Service("prefect", me.pid, me.create_time(), "http://127.0.0.1:1")
    service_state.save(tmp_path, [ours, ours._replace(name="worker", started=1.0)])
    found = service_state.load(tmp_path)

    assert service_state.alive(found["prefect"])
    assert not service_state.alive(found["worker"])
    assert service_state.prefect_api(tmp_path) is None
