"""What a team shares, on real servers: PostgreSQL for MLflow and Prefect, an S3 remote for DVC's tables (docs/team.md)."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from flows import dvc_adapter, service_state, services, tidy_prefect, tidy_tracking, tracking
from tasks import outbox
from tests.flows import nights, postgres
from tests.flows.test_hard_times import RUN, start, tables
from tests.flows.tiny_project import expected, make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("servers")]
PATIENCE_S = 150
BUCKET = "tables"
KEYS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Postgres]:
    """A PostgreSQL server with a database for each."""
    with postgres.running("mlflow", "prefect") as found:
        yield found


@contextmanager
def mlflow(root: Path, store: str) -> Iterator[str]:
    """The team's tracking server."""
    with socket.socket() as probe:
        probe.bind((services.HOST, 0))
        port = probe.getsockname()[1]
    words = ["--host", services.HOST, "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", store, "--artifacts-destination", str(root / "artifacts")]
    log = root / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *words],
            cwd=root,
            env={**os.environ, **services.OFFLINE},
            stdout=out,
            stderr=out,
        )
    url = f"http://{services.HOST}:{port}"
    try:
        end = time.monotonic() + PATIENCE_S
        while not service_state.answers(f"{url}/health"):
            assert time.monotonic() < end, log.read_text()[-2000:]
            assert process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.2)
        yield url
    finally:
        services.end(process.pid)
        process.wait()


def results(root: Path, joint: float) -> None:
    """Results to publish."""
    (root / "reports").mkdir(parents=True, exist_ok=True)
    (root / "reports/metrics.json").write_text(json.dumps({"delta_total": {"fleet": {"energy_j": {"joint": joint}}}}))
    outbox.put(root)


def test_mlflow_on_postgresql(server: postgres.Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two checkouts publish to one server, each exactly once; one tidies its own nights alone; the rows are in PostgreSQL."""
    roots = [nights.make(tmp_path / name, 1) for name in ("mine", "other")]
    with mlflow(tmp_path, server.address("psycopg2", "mlflow")) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        for day, root in enumerate((*roots, *roots)):
            results(root, day / 8)
            assert len(tracking.deliver(root, lambda _: None)) == 1
            assert tracking.deliver(root, lambda _: None) == []
        kept = tidy_tracking.runs(roots[0], 1, apply=True)

    rows = server.rows("mlflow", "SELECT value FROM metrics JOIN runs USING (run_uuid) WHERE lifecycle_stage = 'active'")
    assert (kept.dropped, "mlflow gc" in kept.note) == (2, True)  # its first night, and the run of its layer
    assert sorted(rows) == [(0.125,), (0.25,), (0.375,)]


def test_prefect_on_postgresql(server: postgres.Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of the graph keeps its flow run in PostgreSQL, and old nights leave it by the same setting."""
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", server.address("asyncpg", "prefect"))
    root = make_project(tmp_path / "tiny")
    run = start(root, RUN)
    words = run.communicate()[0]
    assert (run.returncode, words.splitlines()[-1]) == (0, "ran"), words
    assert tables(root) == expected(1)
    assert not (root / ".run/prefect/prefect.db").exists()
    assert server.rows("prefect", "SELECT state_type::text FROM flow_run") == [("COMPLETED",)]

    nights.prefect(root, 0, 4)
    found = [tidy_prefect.database(root, 2, apply=apply) for apply in (False, True, False)]
    assert [(k.entries, k.dropped) for k in found] == [(5, 3), (5, 3), (2, 0)]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server on loopback with one bucket; its address."""
    reason = "no S3 server to be had: pip install 'moto[s3]' dvc-s3"
    boto3 = pytest.importorskip("boto3", reason=reason)
    moto = pytest.importorskip("moto.server", reason=reason)
    pytest.importorskip("dvc_s3", reason=reason)
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    server = moto.ThreadedMotoServer(ip_address=services.HOST, port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket=BUCKET)
    yield url
    server.stop()


def dvc(root: Path, *words: str) -> str:
    """What DVC says."""
    done = subprocess.run([sys.executable, "-m", "dvc", *words], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_dvc_on_s3(bucket: str, tmp_path: Path) -> None:
    """A colleague's checkout takes the tables from S3, without a stage, and finds nothing to do; a lost table comes back."""
    mine, other = make_project(tmp_path / "mine"), tmp_path / "other"
    found = dvc_adapter.survey(mine)
    for stage in "abcd":
        dvc_adapter.bring(found, stage, say=lambda _: None)
    dvc(mine, "remote", "add", "--default", "team", f"s3://{BUCKET}/deltastack")
    dvc(mine, "remote", "modify", "team", "endpointurl", bucket)
    shutil.copytree(mine, other, ignore=shutil.ignore_patterns("data", "cache", "tmp", ".run"))

    dvc(mine, "push", "--run-cache")
    dvc(other, "pull", "--run-cache")

    assert tables(other) == expected(1)
    assert dvc_adapter.survey(other).stale == frozenset()
