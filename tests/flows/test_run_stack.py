"""A run from the command line where nothing changed starts nothing, and what the command line hears."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deltastack.errors import UnknownNameError
from flows import run_stack
from tasks.stage_outcome import PROGRESS, Done, Outcome

HOME = Path(__file__).parents[2]
CODE = """
import json, sys
from pathlib import Path
from flows import run_stack
ended = run_stack.run(Path.cwd(), "d", remeasure=False, listener=run_stack.Listener(print, print, print))
heavy = [m for m in ("prefect", "mlflow", "pandas") if m in sys.modules]
print(json.dumps([ended.ran, [d.outcome for d in ended.stages], heavy]))
"""


def quiet() -> run_stack.Listener:
    """A listener that hears nothing."""
    return run_stack.Listener(lambda _: None, lambda _: None, lambda _: None)


def test_nothing_changed_starts_no_engine(finished: Path) -> None:
    """Four unchanged stages: Prefect, MLflow and pandas are not even imported."""
    environment = {**os.environ, "PYTHONPATH": str(HOME)}
    done = subprocess.run([sys.executable, "-c", CODE], cwd=finished, env=environment, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout.splitlines()[-1]) == [False, ["unchanged"] * 4, []]


def test_an_unknown_target_starts_nothing(finished: Path) -> None:
    """The stages there are, are named."""
    with pytest.raises(UnknownNameError, match="it has: a, b, c, d"):
        run_stack.run(finished, "nothing", remeasure=False, listener=quiet())


def test_progress_and_warnings_reach_the_command_line_once() -> None:
    """A progress record becomes a step; a warning is said once; other lines and errors are not said."""
    said: list[str] = []
    steps: list[Done] = []
    done = Done("a", Outcome.RAN)
    logger = logging.getLogger("a logger of this test")
    logger.addHandler(run_stack._Watch(run_stack.Listener(said.append, lambda _: None, steps.append)))

    for level, text in ((logging.WARNING, "waiting"), (logging.WARNING, "waiting"), (logging.ERROR, "traceback")):
        logger.log(level, text)
    logger.warning("a: ran", extra={PROGRESS: done})

    assert said == ["waiting"]
    assert steps == [done]


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_the_server_of_a_run_dies_with_it(tiny: Path) -> None:
    """Kill -9 of a run: its Prefect server is gone, which would otherwise stay for good."""
    code = (
        "import signal; from pathlib import Path; from flows import server\n"
        "server._await = lambda process, api, log: print(process.pid, flush=True)\n"
        "server.start(Path.cwd()); signal.pause()"
    )
    environment = {**os.environ, "PYTHONPATH": str(HOME)}
    run = subprocess.Popen([sys.executable, "-c", code], cwd=tiny, env=environment, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    own = psutil.Process(int(run.stdout.readline()))

    run.kill()
    run.communicate()

    assert psutil.wait_procs([own], timeout=60) == ([own], [])
