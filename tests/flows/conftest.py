"""A throw-away project with a graph of four small stages, and one Prefect server for the tests that run a flow."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from flows import dvc_adapter
from flows.process_group import LIVE
from tests.flows.tiny_project import make_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def drain_events() -> None:
    """Send what waits and end every event worker of this process."""
    from prefect.events.worker import EventsWorker

    EventsWorker.drain_all(timeout=60, at_exit=False)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing outside the test's folder is touched, and no process is left."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    LIVE.reset()


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, nothing run yet, with the process inside it."""
    root = make_project(tmp_path / "tiny")
    monkeypatch.chdir(root)
    return root


@pytest.fixture(scope="session")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with every stage run once."""
    root = make_project(tmp_path_factory.mktemp("finished") / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_SITE_CACHE_DIR", str(root.parent / "site"))
        found = dvc_adapter.survey(root)
        for stage in "abcd":
            dvc_adapter.bring(found, stage, say=lambda _: None)
    return root


@pytest.fixture
def finished(_finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project with every stage run once, with the process inside it."""
    root = tmp_path / "tiny"
    shutil.copytree(_finished, root, symlinks=True)
    monkeypatch.chdir(root)
    return root


@pytest.fixture(scope="session")
def _server() -> Iterator[None]:
    """One server for all tests that run a flow; the heartbeat's thread would cost a second a run."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def prefect_server(_server: None) -> Iterator[None]:
    """The server, and no thread of its client left behind.

    The client's event worker keeps a websocket open, and each frame draws from the global ``random``. Hypothesis
    refuses a draw that happens while it makes an example, so a property later in this process would fail.
    """
    yield
    drain_events()
