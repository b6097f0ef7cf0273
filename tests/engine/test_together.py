"""Servers of a block that are up at once and take turns: parts of the load, faults, logs, questions, readings, refusals."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from deltastack import params
from deltastack.engine import bench, cells, loading, meters, process, readback
from deltastack.engine.bench import Order
from deltastack.engine.declaration import Engine
from deltastack.engine.process import Running
from deltastack.engine.visit import Visit
from deltastack.errors import ParamsError
from deltastack.experiment.meter import Quantity, Reading
from deltastack.model import AA_TWIN
from tests.engine.fakes import declared, engine, silent, with_fault

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.engine.asking import Request

TOGETHER = declared()["experiment"] | {"together": True, "gap_s": 0.01}


def parts(requests: int, *, servers: int, at_once: int = 1, gap_s: float = 0.0) -> list[int]:
    """How many requests each part of a load has."""
    at: Any = SimpleNamespace(asked=SimpleNamespace(measured=tuple(range(requests))))
    at.engine = SimpleNamespace(experiment=SimpleNamespace(gap_s=gap_s))
    some: Any = [SimpleNamespace(concurrency=1)] * (servers - 1) + [SimpleNamespace(concurrency=at_once)]
    return [len(p) for p in loading.turns(at, some)]


def test_a_load_is_split_where_servers_take_turns_or_rest() -> None:
    """Alone all of it, or two halves; in turns one request, or as many as some cell has under way; a gap needs two parts."""
    assert parts(24, servers=1) == [24]
    assert parts(5, servers=1, gap_s=1) == [3, 2]
    assert parts(3, servers=2) == [1, 1, 1]
    assert parts(10, servers=2, at_once=4) == [4, 4, 2]
    assert parts(4, servers=2, at_once=4, gap_s=1) == [2, 2]


def test_every_server_of_a_block_is_up_before_the_first_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two blocks of three servers: at each turn all run, in the same order within a block; counts are those of one alone."""
    up: list[Visit] = []
    seen: list[tuple[str, int]] = []
    start, turn, stop = Visit.start, Visit.turn, Visit.stop

    def turned(self: Visit, some: tuple[Request, ...]) -> None:
        seen.append((self.slot.cell, sum(v.server.alive() for v in up)))
        turn(self, some)

    monkeypatch.setattr(Visit, "start", lambda self, serving: (start(self, serving), up.append(self))[0])
    monkeypatch.setattr(Visit, "turn", turned)
    monkeypatch.setattr(Visit, "stop", lambda self: (stop(self), up.clear())[0])

    found = bench.measure(tmp_path, engine("cache", "quant", experiment=TOGETHER), Order(only=("storage",)), silent)

    assert [n for _, n in seen] == [3] * 2 * 3 * 3
    order = [c for c, _ in seen]
    assert order[:3] == order[3:6] == order[6:9] == order[9:12][::-1]
    assert {e.quality["prompt_tokens"] for e in found.measured.entries} == {21.0}
    assert set(found.joint["component"]) >= {"prefill", "decode", "idle"}


@pytest.mark.parametrize(
    ("fault", "words"), [("crash", "crashed"), ("throttle", "throttled"), ("leak", "memory limit"), ("hang", "hung")]
)
def test_a_fault_in_one_server_leaves_the_others_right(tmp_path: Path, fault: str, words: str) -> None:
    """The group does not count; without the server that failed it is run again, and has every block."""
    changed: dict[str, Any] = {"limits": {"memory_byte": 3e8, "attempts": 1}, "experiment": TOGETHER}
    changed["load"] = declared()["load"] | {"timeout_s": 0.5 if fault == "hang" else 30}

    found = bench.measure(tmp_path, with_fault(fault, **changed), Order(only=("storage", "instruction_set")), silent)

    assert words in found.measured.given_up["instruction_set"]
    assert len(found.measured.faults) == 1
    counted = found.joint[found.joint["resource"] == "time_s"].groupby("cell")["block"].nunique()
    assert dict(counted) == {"base": 2, AA_TWIN: 2, "storage": 2}


def test_servers_of_one_cell_have_logs_of_their_own_and_one_is_questioned(tmp_path: Path) -> None:
    """The base and its twin are up at once; the questions are put once a cell."""
    line = '{"path": "/v1/completions", "body": {"prompt": "five", "max_tokens": 1}, "answer": "four"}'
    (tmp_path / "questions.jsonl").write_text(line)
    asked = {"file": "questions.jsonl", "requests": 1, "warm": 0}

    found = bench.measure(tmp_path, engine("quant", questions=asked, experiment=TOGETHER), Order(), silent)

    assert {p.name for p in (tmp_path / bench.FOLDER / "logs").iterdir()} >= {"base.log", "base@aa.log"}
    assert found.measured.outputs["base"].answers == ("four ",)
    assert found.quality.set_index("metric").loc["accuracy", "value"] == 0.0


def test_readings_of_turns_add_up() -> None:
    """Seconds add up, a peak is the larger one, and what one part lacks the sum lacks."""
    one, other = (meters.Spent(r) for r in (_readings(1.0, 5.0), _readings(2.0, 3.0)))

    both = one.plus(other)

    assert (both.value(Quantity.CPU_S), both.value(Quantity.MEMORY_PEAK_BYTE)) == (3.0, 5.0)
    assert both.plus(meters.Spent(_readings(None, 1.0))).readings[Quantity.CPU_S].reason == "none"
    assert meters.Spent().plus(one) == one == one.plus(meters.Spent())


def test_a_server_with_new_processes_between_turns_has_no_seconds() -> None:
    """A turn reads the processes that were there at the first one; a further one would be missed in silence."""
    grown = Running(address="", root=psutil.Process(), log=None, ready_s=0.0, known=(psutil.Process(),))
    meter = meters.ServerMeter(grown, shared=True)
    load = meters.Spent(_readings(1.0, 1.0))
    assert meter.whole(load) == load

    meter._everybody = Running(
        address="", root=psutil.Process(), log=None, ready_s=0.0, known=(psutil.Process(), psutil.Process(1))
    )

    reading = meter.whole(load).readings[Quantity.CPU_S]
    assert reading.value is None
    assert "set experiment.together to false" in (reading.reason or "")


def test_a_log_that_comes_after_health_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look finds nothing, the second what was asked for: the switch took."""
    answers = iter([{"props": {}}, {"props": {"settings.quant": "true", "settings.cache": "false"}}])
    monkeypatch.setattr(readback, "resolved", lambda *_: next(answers))
    monkeypatch.setattr(readback, "_LOOK_AGAIN_S", 0.0)
    one = engine("cache", "quant")
    server = Running(address="", root=None, log=None, ready_s=0.0)

    found = readback.settled(server, cells.resolve(one, "instruction_set", tmp_path), one.sources, {})

    assert found["props"]["settings.quant"] == "true"


def test_what_leaves_no_turns_is_refused() -> None:
    """A fixed port, joules, a generator, and a trace's arrivals."""
    wrong = declared("cache", experiment=TOGETHER | {"quantity": "energy_j"})
    wrong["start"]["port"] = process.free_port()
    wrong["load"] |= {"generator": "vllm", "generator_command": ["vllm"], "model": "m"}
    with pytest.raises(ParamsError, match=r"cannot let servers take turns.*joules apart.*start\.port must be 0"):
        params.parse(wrong, Engine, "fake.yaml")

    due: Any = SimpleNamespace(measured=(SimpleNamespace(due_s=0.5),))
    with pytest.raises(ParamsError, match="arrivals of a trace leave no turns"):
        bench._require_turns(engine("cache", experiment=TOGETHER), due)


def _readings(cpu_s: float | None, peak_byte: float) -> dict[Quantity, Reading]:
    why = "none" if cpu_s is None else None
    return {Quantity.CPU_S: Reading(cpu_s, "simulated", why), Quantity.MEMORY_PEAK_BYTE: Reading(peak_byte, "simulated")}


def test_a_repeated_cell_counts_as_its_mean(tmp_path: Path) -> None:
    """The base thrice a block: a log each, three rows of the joint table, and one pair of the layer's own table."""
    thrice = engine("cache", "quant", experiment=TOGETHER | {"repeats": {"base": 3}})

    found = bench.measure(tmp_path, thrice, Order(only=("storage",)), silent)

    assert {p.name for p in (tmp_path / bench.FOLDER / "logs").iterdir()} >= {
        "base.log",
        "base.2.log",
        "base.3.log",
        "base@aa.log",
    }
    joint, own = (t[(t["resource"] == "cpu_s") & (t["component"] == "prefill")] for t in (found.joint, found.deltas["storage"]))
    base = joint[joint["cell"] == "base"].groupby("block")["amount"]
    assert list(base.size()) == [3, 3]
    mine = own[own["technique"] == "all"].set_index("replicate")
    assert mine.iloc[:, mine.columns.str.contains("base")].to_numpy().ravel() == pytest.approx(base.mean().to_numpy())
