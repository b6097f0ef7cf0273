"""``deltastack estimate``: one layer at once, its errors with their remedies, and savings summed by hand."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from deltastack.cli.main import main
from deltastack.evaluation.delta_summary import savings
from deltastack.model import OperatingPoint, Resource

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with the project's parameters and a workload of 300 requests."""
    shutil.copytree(ROOT / "params", tmp_path / "params")
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    workload = tmp_path / "params" / "workload.yaml"
    text = workload.read_text(encoding="utf-8")
    workload.write_text(text.replace("requests: 142848", "requests: 300").replace("duration_s: 86400", "duration_s: 300"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The command's exit code."""
    monkeypatch.setattr(sys, "argv", ["deltastack", "estimate", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(str(stop.value.code or 0))


@pytest.mark.usefixtures("checkout")
def test_one_technique_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON value: savings by basis and resource, notes, nothing refused; fp8 saves time at capacity."""
    code = run(monkeypatch, "instruction_set", "--technique", "low_precision", "--draws", "2", "--variant", "text_only", "--json")
    found = json.loads(capsys.readouterr().out)
    time = {s["operating_point"]: s for s in found["savings"] if s["resource"] == "time_s"}

    assert code == 0
    assert (found["layer"], found["draws"], found["refused"]) == ("instruction_set", 2, [])
    assert {s["technique"] for s in found["savings"]} == {"low_precision"}
    assert 0.0 < time["at_capacity"]["low"] <= time["at_capacity"]["delta"] <= time["at_capacity"]["high"] < 0.6
    assert found["notes"]["low_precision"].startswith("bf16 to fp8")


@pytest.mark.usefixtures("checkout")
def test_a_set_value_is_used_and_a_loss_comes_first(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With two pools of one accelerator each the loss of attention_ffn stands at the top of the table; one draw has no range."""
    code = run(monkeypatch, "pipeline", "--draws", "1", "--set", "deployment.replicas=4", "--set", "encoder_pool.accelerators=0")
    lines = capsys.readouterr().out.splitlines()

    assert code == 0
    assert lines[1].startswith("attention_ffn")
    assert (" .. " in "".join(lines), lines[-1].endswith("one set of parameters: no range")) == (False, True)
    assert any("the encoder stays where it is" in line for line in lines)
    assert any("2 attention and 2" in line or "3 attention and 1" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nothing"], 2, "no layer 'nothing'; there are: chiplet, distillation, idle, instruction_set, pipeline"),
        (["pipeline", "--technique", "x"], 2, "no technique 'x' in layer 'pipeline'; it has: attention_ffn, encoder_pool"),
        (["pipeline", "--set", "foo=1"], 2, "no key 'foo' in pipeline; there are: attention_ffn: pools"),
        (["pipeline", "--set", "foo"], 2, "--set foo: wanted KEY=VALUE"),
        (["pipeline", "--set", "link_bytes_per_s=1"], 2, "is in attention_ffn and encoder_pool, say TECHNIQUE.link_bytes_per_s"),
        (["pipeline", "--set", "deployment.foo=1"], 2, "no key 'foo' in deployment of params/fleet.yaml; there are: model"),
        (["pipeline", "--variant", "moon"], 2, "no variant 'moon' in params/workload.yaml; there are: default"),
        (["instruction_set", "--technique", "low_precision", "--set", "precision=int8"], 3, "no measured operator times"),
        (
            ["idle", "--technique", "encoder_skip"],
            3,
            "encoder_skip is nothing that the fleet can simulate: deltastack measure --cells base,idle/encoder_skip",
        ),
        (["pruning"], 3, "pruning is nothing that the fleet can simulate: deltastack measure --cells base,pruning"),
    ],
)
@pytest.mark.usefixtures("checkout")
def test_errors_say_what_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    """One line: what was found, and what there is; 2 for what a person mends, 3 for a technique that does not hold."""
    assert run(monkeypatch, *words, "--draws", "1") == code

    assert message in capsys.readouterr().err


def row(technique: str, draw: int, component: str, base: float | None, now: float | None) -> tuple[object, ...]:
    """A row of DELTA of cost at the trace."""
    reason = None if now is not None else "not known"
    head = ("storage", technique, "fleet", "at_trace", draw, component, "cost_usd")
    return (*head, base, now, "assumed" if component == "idle" else "simulated", reason, "host", True)


def test_savings_by_hand() -> None:
    """10 + 10 become 5 + 10 (25 %); in the other draw 10 + 10 become 15 + 10 (-25 %): central first, range from both."""
    rows = [
        *(row("a", 0, c, 10.0, n) for c, n in (("ffn", 5.0), ("idle", 10.0))),
        *(row("a", 1, c, 10.0, n) for c, n in (("ffn", 15.0), ("idle", 10.0))),
        row("b", 0, "ffn", 10.0, 20.0),
        row("c", 0, "ffn", None, None),
    ]
    found = {s.technique: s for s in savings(rows)}

    assert [s.technique for s in savings(rows)] == ["b", "c", "a"]
    assert (found["a"].delta, found["a"].low, found["a"].high) == (0.25, -0.25, 0.25)
    assert found["a"].evidence == "assumed"
    assert (found["c"].delta, found["c"].reason) == (None, "not known")
    assert (found["b"].operating_point, found["b"].resource) == (OperatingPoint.AT_TRACE, Resource.COST_USD)


def test_what_was_never_spent_has_no_saving() -> None:
    """Nothing at base: a ratio that does not exist is not a number."""
    (found,) = savings([row("a", 0, "ffn", 0.0, 1.0)])

    assert found.delta is None
    assert found.reason == "nothing of it was spent at base"
