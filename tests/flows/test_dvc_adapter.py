"""The bridge to DVC on a real, tiny graph: graph, status, outcomes, errors, repair."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from deltastack.errors import BusyError, StageError, UnknownNameError
from flows import dvc_adapter, dvc_repair
from flows.process_group import LIVE
from tasks import stage_runner
from tasks.stage_outcome import Outcome

if TYPE_CHECKING:
    from pathlib import Path


def test_the_graph_is_what_dvc_yaml_declares(tiny: Path) -> None:
    """Edges run from producer to reader, a measured stage says so, and before the first run all is stale."""
    found = dvc_adapter.survey(tiny)

    assert set(found.graph.edges) == {("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")}
    assert [n for n, m in found.graph.nodes(data="measured") if m] == ["c"]
    assert found.stale == {"a", "b", "c", "d"}


def test_a_target_takes_what_it_needs(finished: Path) -> None:
    """``b`` needs ``a`` and itself; an unknown stage is refused with the stages there are; after a run nothing is stale."""
    found = dvc_adapter.survey(finished)

    assert found.stale == frozenset()
    assert set(dvc_adapter.select(found, "b")) == {"a", "b"}
    with pytest.raises(UnknownNameError, match=r"no stage 'x' in dvc\.yaml; it has: a, b, c, d"):
        dvc_adapter.select(found, "x")


def test_outcomes_are_told_apart(finished: Path) -> None:
    """The same inputs: unchanged; outputs deleted: restored, with the time they were computed; new inputs: ran; force: ran."""
    found, lines = dvc_adapter.survey(finished), list[str]()
    computed = json.loads(stage_runner.receipt(finished, "b").read_text())["started"]

    unchanged = dvc_adapter.bring(found, "b", say=lines.append)
    (finished / "data" / "b.txt").unlink()
    restored = dvc_adapter.bring(found, "b", say=lines.append)
    forced = dvc_adapter.bring(found, "b", say=lines.append, force=True)
    (finished / "params.yaml").write_text("n: 2\n")
    ran = dvc_adapter.bring(found, "a", say=lines.append)

    assert [x.outcome for x in (unchanged, restored, forced, ran)] == [
        Outcome.UNCHANGED,
        Outcome.RESTORED,
        Outcome.RAN,
        Outcome.RAN,
    ]
    assert restored.computed_at == computed
    assert restored.outs[0][0] == "data/b.txt"
    assert lines.count("b says hello") == 1
    assert not any("git add" in x for x in lines)
    assert dvc_adapter.survey(finished).stale >= {"b", "c"}


def test_a_failed_stage_brings_its_own_message_and_exit_code(finished: Path) -> None:
    """What the stage refused is what the flow says, not DVC's summary; nothing is recorded."""
    (finished / "params.yaml").write_text("n: 1\nfail: a\n")

    with pytest.raises(StageError, match=r"^stage 'a' failed: a does not fit$") as failed:
        dvc_adapter.bring(dvc_adapter.survey(finished), "a", say=lambda _: None)

    assert failed.value.exit_code == 3
    assert "a" in dvc_adapter.survey(finished).stale


def test_a_stage_that_another_process_holds_is_busy(finished: Path) -> None:
    """While another living DVC process holds an output, the error is BusyError and names the holder."""
    (finished / "params.yaml").write_text("n: 2\n")
    held = {"write": {str(finished / "data" / "a.txt"): {"pid": os.getpid(), "cmd": "dvc repro a"}}, "read": {}}
    (finished / ".dvc" / "tmp").mkdir(exist_ok=True)
    (finished / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(held))

    with pytest.raises(BusyError, match=rf"another run holds the graph, waiting \(\(PID {os.getpid()}\): dvc repro a\)"):
        dvc_adapter.bring(dvc_adapter.survey(finished), "a", say=lambda _: None)


def test_cancelling_ends_the_whole_group(tiny: Path) -> None:
    """A stage that hangs is gone with its DVC after ``stop``; the error says cancelled; nothing new starts."""
    (tiny / "params.yaml").write_text("n: 1\nhang: a\n")
    found, hanging = dvc_adapter.survey(tiny), threading.Event()
    seen: list[BaseException] = []

    def work() -> None:
        try:
            dvc_adapter.bring(found, "a", say=lambda line: hanging.set() if "says hello" in line else None)
        except StageError as error:
            seen.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert hanging.wait(60)
    stopped = LIVE.stop()
    thread.join(30)

    assert stopped == 1
    assert "cancelled" in str(seen[0])
    with stage_runner.lock(tiny / ".run" / "locks" / "a.lock", "the stage lives on", pytest.fail):
        pass
    with pytest.raises(StageError, match="not started"):
        dvc_adapter.bring(found, "a", say=lambda _: None)


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_killing_the_flow_kills_the_stage(tiny: Path) -> None:
    """Kill -9 of the process that called the bridge: the stage's lock is free at once, and a next call succeeds."""
    (tiny / "params.yaml").write_text("n: 1\nhang: a\n")
    code = "from pathlib import Path; from flows import dvc_adapter; dvc_adapter.bring(dvc_adapter.survey(Path.cwd()), 'a')"
    environment = {**os.environ, "PYTHONPATH": str(dvc_adapter._HOME)}
    flow = subprocess.Popen([sys.executable, "-c", code], cwd=tiny, env=environment, stdout=subprocess.PIPE, text=True)
    assert flow.stdout is not None
    assert any("says hello" in line for line in flow.stdout)

    flow.kill()
    flow.communicate()
    with stage_runner.lock(tiny / ".run" / "locks" / "a.lock", "the stage dies"):
        pass
    (tiny / "params.yaml").write_text("n: 1\n")
    dvc_adapter.mend(tiny, lambda _: None)

    assert dvc_adapter.bring(dvc_adapter.survey(tiny), "a", say=lambda _: None).outcome is Outcome.RAN


def test_broken_files_of_dvc_are_mended(finished: Path) -> None:
    """Half a dvc.lock and half a table of readers: both set aside, the last good lock is back, nothing is stale."""
    whole = (finished / "dvc.lock").read_text()
    (finished / "dvc.lock").write_text(whole[: len(whole) // 2] + "\n  - }")
    (finished / ".dvc" / "tmp" / "rwlock").write_text('{"write": {"')
    said: list[str] = []

    dvc_adapter.mend(finished, said.append)

    assert (finished / "dvc.lock").read_text() == whole
    assert len(list((finished / ".run" / "broken").iterdir())) == len(said) == 2
    assert dvc_adapter.survey(finished).stale == frozenset()


def test_without_a_spare_the_cache_restores(finished: Path) -> None:
    """A broken dvc.lock without a good copy is set aside; every stage comes back from the cache, none runs."""
    (finished / "dvc.lock").write_text("stages: [")
    (finished / ".run" / "dvc.lock.good").unlink()

    dvc_adapter.mend(finished, lambda _: None)

    assert dvc_adapter.bring(dvc_adapter.survey(finished), "a", say=lambda _: None).outcome is Outcome.RESTORED
    assert dvc_repair.read_lock(finished / "dvc.lock")


def test_an_unreadable_graph_is_one_line(tiny: Path) -> None:
    """A dvc.yaml that is no YAML names the file and the place."""
    (tiny / "dvc.yaml").write_text("stages: [\n")

    with pytest.raises(StageError, match=r"DVC cannot read the graph of .*dvc\.yaml") as found:
        dvc_adapter.survey(tiny)
    assert "\n" not in str(found.value)
