"""A throw-away project with a graph of four small stages, and one Prefect server for the tests that run a flow."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from flows import bridge
from flows.live import LIVE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAGE = '''
"""One stage of the tiny graph: read the inputs, write a file as the contracts do, whole or not at all."""
import os
import signal
from pathlib import Path

from deltastack.contracts import atomic
from deltastack.errors import CapacityError
from tasks import entry


def run(root: Path) -> None:
    name = os.environ["DVC_STAGE"]
    values = (root / "params.yaml").read_text()
    if f"fail: {name}\\n" in values:
        raise CapacityError(f"{name} does not fit")
    print(f"{name} says hello", flush=True)
    if f"hang: {name}\\n" in values:
        signal.pause()
    inputs = {"a": "", "b": "a", "c": "a", "d": "bc"}[name]
    text = "".join((root / "data" / f"{i}.txt").read_text() for i in inputs)
    with atomic(root / "data" / f"{name}.txt") as part:
        part.write_text(f"{name} of {values}" + text * 20)


entry.main(os.environ["DVC_STAGE"], run)
'''
GRAPH = """
stages:
  a: {cmd: python stage.py, deps: [stage.py], params: [params.yaml: null], outs: [data/a.txt]}
  b: {cmd: python stage.py, deps: [data/a.txt], params: [params.yaml: null], outs: [data/b.txt]}
  c: {cmd: python stage.py, deps: [data/a.txt], params: [params.yaml: null], outs: [data/c.txt], meta: {measured: true}}
  d: {cmd: python stage.py, deps: [data/b.txt, data/c.txt], params: [params.yaml: null], outs: [data/d.txt]}
"""


def make_project(root: Path) -> Path:
    """A DVC project: ``a`` feeds ``b`` and ``c`` (measured), they feed ``d``; all read params.yaml."""
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n    no_scm = true\n    check_update = false\n")
    (root / "dvc.yaml").write_text(GRAPH)
    (root / "stage.py").write_text(STAGE)
    (root / "params.yaml").write_text("n: 1\n")
    return root


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
        found = bridge.survey(root)
        for stage in "abcd":
            bridge.bring(found, stage, say=lambda _: None)
    return root


@pytest.fixture
def finished(_finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the project with every stage run once, with the process inside it."""
    root = tmp_path / "tiny"
    shutil.copytree(_finished, root, symlinks=True)
    monkeypatch.chdir(root)
    return root


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """One server for all tests that run a flow; the heartbeat's thread would cost a second a run."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), prefect_test_harness(server_startup_timeout=120):
        yield
