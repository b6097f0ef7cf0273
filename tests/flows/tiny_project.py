"""A throw-away project with a graph of four small stages; its tables can be worked out by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

STAGE = '''
"""One stage of the tiny graph: read the inputs, write a file whole or not at all."""
import os
import signal
from pathlib import Path

from deltastack.errors import CapacityError
from tasks import stage_runner


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
    stage_runner.write(root / "data" / f"{name}.txt", f"{name} of {values}" + text * 20)


stage_runner.main(os.environ["DVC_STAGE"], run)
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


def expected(n: int) -> dict[str, str]:
    """The tables of ``n`` in params.yaml, worked out without DVC."""
    head = {name: f"{name} of n: {n}\n" for name in "abcd"}
    a = head["a"]
    b, c = head["b"] + a * 20, head["c"] + a * 20
    return {"a.txt": a, "b.txt": b, "c.txt": c, "d.txt": head["d"] + (b + c) * 20}
