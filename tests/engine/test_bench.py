"""The bench on a real small server: one experiment, faults that stay in their cell, dead switches, resuming, secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from deltastack import params
from deltastack.analysis.factorial import factorials
from deltastack.analysis.formula_totals import held
from deltastack.engine import bench
from deltastack.engine.bench import Order
from deltastack.engine.declaration import Engine
from deltastack.errors import ParamsError, StageError
from deltastack.experiment.run_plan import Stopped
from deltastack.model import AA_TWIN
from deltastack.outcomes import Formula
from tests.engine.fakes import declared, engine, silent, with_fault

if TYPE_CHECKING:
    from pathlib import Path


def test_one_experiment_has_every_set_of_layers_and_the_twin(tmp_path: Path) -> None:
    """Two layers: base, its twin, both alone, both together, twice each; the tables hold the contracts."""
    found = bench.measure(tmp_path, engine("cache", "quant"), Order(), silent)

    assert found.measured.stopped is Stopped.COMPLETE
    assert set(found.joint["cell"]) == {"base", AA_TWIN, "storage", "instruction_set", "instruction_set+storage"}
    assert found.layers == ("storage", "instruction_set")
    assert len(found.measured.entries) == 10
    assert set(found.deltas) == {"storage", "instruction_set"}
    assert set(found.deltas["storage"]["technique"]) == {"all", "cache", AA_TWIN}


def test_a_shared_mechanism_is_told_first_and_measured_alone(tmp_path: Path) -> None:
    """Before any server starts it is said what a product counts twice; the table has the cell, and by mechanism its total."""
    whole = declared("cache", "quant", mechanisms={"split": {"flags": ["batch=1"]}})
    for name in ("cache", "quant"):
        whole["techniques"][name]["mechanisms"] = ["split"]
    fake, said = params.parse(whole, Engine, "fake.yaml"), list[str]()

    found = bench.measure(tmp_path, fake, Order(), said.append)

    assert said[0] == "the mechanism split is shared by storage and instruction_set: a product of their savings counts it twice"
    assert "mechanism/split" in set(found.joint["cell"])
    f = factorials(found.joint[found.joint["cell"] != AA_TWIN], found.layers, mechanisms=fake.sharing(found.layers))[0][0]
    total = held(f, tolerance=0.02, confidence=0.95).totals[Formula.BY_MECHANISM]
    assert f.shared[0].of == ("storage", "instruction_set")
    assert total.saving is not None
    assert "cell mechanism/split" in str(total.reason)


def test_exact_counts_show_the_technique_at_work(tmp_path: Path) -> None:
    """Three prompts of seven words: 21 tokens, of which the cache spares 3 x 3; the engine's own counter agrees."""
    found = bench.measure(tmp_path, engine("cache", "quant"), Order(only=("storage",)), silent)

    counts = found.counters.set_index(["cell", "block", "counter"])["amount"]
    assert counts["base", 0, "prompt_tokens"] == counts["storage", 0, "engine.prompt_tokens"] == 21
    assert counts["base", 0, "cached_tokens"] == 0
    assert counts["storage", 1, "cached_tokens"] == counts["storage", 1, "cache.cached"] == 9
    assert counts["storage", 0, "computed_tokens"] == 12


def test_outputs_are_held_against_the_base(tmp_path: Path) -> None:
    """The quantized cell tells the same words with log probabilities 0.01 apart; it errs in one of four questions."""
    lines = [f'{{"path": "/v1/completions", "body": {{"prompt": "{w}", "max_tokens": 1}}, "answer": "four"}}' for w in "ab"]
    lines += ['{"path": "/v1/completions", "body": {"prompt": "five", "max_tokens": 1}, "answer": "four"}', lines[0]]
    (tmp_path / "questions.jsonl").write_text("\n".join(lines))
    asked = {"file": "questions.jsonl", "requests": 4, "warm": 0}

    found = bench.measure(tmp_path, engine("quant", questions=asked), Order(), silent).quality.set_index(["subject", "metric"])

    assert found.loc[("instruction_set", "exact_match"), "value"] == 1
    assert found.loc[("instruction_set", "logprob_distance_nat"), "change"] == pytest.approx(0.01)
    accuracy = found.loc[("instruction_set", "accuracy")]
    assert (accuracy["base"], accuracy["value"], accuracy["n"]) == (1.0, 0.75, 4)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("crash", "crashed"),
        ("throttle", "throttled: 1 of 1 requests, first number 0: 429"),
        ("short", "output of another length"),
        ("leak", "memory limit"),
        ("hang", "hung"),
        ("deaf", "not healthy"),
    ],
)
def test_a_fault_in_one_cell_leaves_the_others_right(tmp_path: Path, fault: str, words: str) -> None:
    """The cell is given up by name with its reason; base, twin and the other layer have every block."""
    changed: dict[str, Any] = {"limits": {"memory_byte": 3e8, "attempts": 1}}
    changed["load"] = declared()["load"] | {"timeout_s": 0.5 if fault == "hang" else 30}
    changed["health"] = declared()["health"] | {"within_s": 1 if fault == "deaf" else 30}

    found = bench.measure(tmp_path, with_fault(fault, **changed), Order(only=("storage", "instruction_set")), silent)

    assert words in found.measured.given_up["instruction_set"]
    assert found.layers == ("storage",)
    counted = found.joint[found.joint["resource"] == "time_s"].groupby("cell")["block"].nunique()
    assert dict(counted) == {"base": 2, AA_TWIN: 2, "storage": 2}


def test_a_switch_that_did_not_take_voids_its_cell_by_name(tmp_path: Path) -> None:
    """The engine takes the flag, answers as before, and is found out by what it says it resolved; no second try."""
    dead = declared("cache", "quant")
    dead["start"]["command"].append("dead=quant")

    found = bench.measure(tmp_path, params.parse(dead, Engine, "fake.yaml"), Order(), silent)

    reason = found.measured.given_up["instruction_set"]
    assert "switch did not take: quant: props settings.quant is 'false', wanted 'true'" in reason
    assert set(found.measured.given_up) == {"instruction_set", "instruction_set+storage"}
    assert len(found.measured.faults) == 2
    assert found.layers == ("storage",)


def test_a_switch_without_any_sign_of_work_voids_its_cell(tmp_path: Path) -> None:
    """The engine says that its cache is on, but a request field keeps it from working: nothing was cached."""
    idle = declared("cache", load=declared()["load"] | {"fields": {"cache": False}})

    found = bench.measure(tmp_path, params.parse(idle, Engine, "fake.yaml"), Order(), silent)

    assert "cache.cached is 0, wanted at least 1" in found.measured.given_up["storage"]


def test_a_flag_that_the_engine_refuses_is_told_with_its_log(tmp_path: Path) -> None:
    """The last lines of the log are in the reason."""
    whole = declared("cache", "quant")
    whole["techniques"]["quant"]["on_settings"]["flags"].append("--refuse")

    found = bench.measure(tmp_path, params.parse(whole, Engine, "fake.yaml"), Order(only=("storage", "instruction_set")), silent)

    assert "did not start: the server ended with status 1" in found.measured.given_up["instruction_set"]
    assert "unknown flag --refuse" in found.measured.given_up["instruction_set"]


def test_without_a_base_nothing_is_measured(tmp_path: Path) -> None:
    """A base that cannot start ends the experiment with its reason."""
    whole = declared("cache")
    whole["start"]["command"].append("--refuse")

    with pytest.raises(StageError, match="the base cannot be run, so nothing can be compared"):
        bench.measure(tmp_path, params.parse(whole, Engine, "fake.yaml"), Order(), silent)


def test_declared_conflicts_leave_cells_out_before_anything_runs(tmp_path: Path) -> None:
    """A refused pair is not started; a switch without effect runs with a note."""
    conflicts = [
        {"between": ["cache", "quant"], "kind": "refused", "why": "a test", "source": "hand"},
        {"between": ["cache"], "kind": "no_effect", "why": "a test", "source": "hand"},
    ]

    found = bench.measure(tmp_path, engine("cache", "quant", conflicts=conflicts), Order(), silent)

    assert found.left_out == {"instruction_set+storage": "cache with quant: refused (a test; hand)"}
    assert found.notes == {"storage": ("cache: no effect (a test; hand)",)}
    assert "instruction_set+storage" not in set(found.joint["cell"])
    assert found.layers == ("storage",)


def test_an_api_key_is_sent_and_written_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that tells the key in its error: neither rows nor records nor reasons hold it."""
    monkeypatch.setenv("FAKE_KEY", "sesame-1234")
    said: list[str] = []
    one = with_fault("echo", key_variable="FAKE_KEY", limits={"attempts": 1})

    found = bench.measure(tmp_path, one, Order(only=("storage", "instruction_set")), said.append)

    assert "no access for Bearer ***" in found.measured.given_up["instruction_set"]
    texts = [*said, *(p.read_text() for p in tmp_path.rglob("*") if p.is_file())]
    assert not any("sesame-1234" in t for t in texts)
    monkeypatch.delenv("FAKE_KEY")
    with pytest.raises(ParamsError, match="the environment has no FAKE_KEY"):
        bench.measure(tmp_path, one, Order(), silent)
