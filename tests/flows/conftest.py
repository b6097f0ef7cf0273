"""A throw-away project with a graph of four small stages, and one Prefect server for the tests that run a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

STAGE = '''
"""One stage of the tiny graph: read the inputs, write a line, as contracts do: whole or not at all."""
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
    inputs = sorted(p for p in (root / "data").glob("*.txt") if p.stem < name)
    with atomic(root / "data" / f"{name}.txt") as part:
        part.write_text(f"{name}: {values}" + "".join(p.read_text() for p in inputs) * 50)


entry.main(os.environ["DVC_STAGE"], run)
'''
GRAPH = """
stages:
  a: {cmd: python stage.py, deps: [stage.py], params: [params.yaml: null], outs: [data/a.txt]}
  b: {cmd: python stage.py, deps: [data/a.txt], params: [params.yaml: null], outs: [data/b.txt]}
  c: {cmd: python stage.py, deps: [data/a.txt], params: [params.yaml: null], outs: [data/c.txt], meta: {measured: true}}
  d: {cmd: python stage.py, deps: [data/b.txt, data/c.txt], params: [params.yaml: null], outs: [data/d.txt]}
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project: ``a`` feeds ``b`` and ``c`` (measured), they feed ``d``; nothing outside it is touched."""
    root = tmp_path / "tiny"
    (root / ".dvc").mkdir(parents=True)
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n    no_scm = true\n    check_update = false\n")
    (root / "dvc.yaml").write_text(GRAPH)
    (root / "stage.py").write_text(STAGE)
    (root / "params.yaml").write_text("n: 1\n")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))
    monkeypatch.chdir(root)
    return root
