"""The commands: check before anything is spent, run with its findings, show what resolved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from deltastack import params
from deltastack.cli import output
from deltastack.cli.engine import _seconds
from deltastack.cli.main import app
from deltastack.contracts import COUNTER, DELTA, JOINT, QUALITY
from deltastack.engine import check
from deltastack.engine.bench import Order
from deltastack.engine.declaration import Engine
from deltastack.errors import ParamsError
from deltastack.outcomes import Formula
from tasks import engine as task
from tests.engine.fakes import declared, engine, silent

ROOT = Path(__file__).parents[2]
STACK = {"layers": ["storage", "instruction_set"], "tolerance": 0.02, "confidence": 0.95, "effort": "default"}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what a checkout needs here, and a lock of its own."""
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "params" / "engines").mkdir(parents=True)
    (tmp_path / "params" / "stack.yaml").write_text(yaml.safe_dump(STACK))
    (tmp_path / "params" / "engines" / "fake.yaml").write_text(yaml.safe_dump(declared("cache", "quant")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tasks.stage_runner.machine_lock", lambda: tmp_path / "lock")
    return tmp_path


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The command line's exit code, stdout and stderr."""
    import sys
    from unittest import mock

    with mock.patch.object(sys, "argv", ["deltastack", *words]):
        code = output.exit_code_of(app)
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_layer_that_nobody_has_is_refused(checkout: Path) -> None:
    """The message names the technique and the layers that there are; those that only engines have are among them."""
    whole = declared("cache")
    whole["techniques"]["cache"]["layer"] = "speed"
    (checkout / "fast.yaml").write_text(yaml.safe_dump(whole))

    with pytest.raises(ParamsError, match=r"fast\.yaml: techniques\.cache: no layer 'speed'; there are: .*storage.*speculative"):
        task.declared(checkout, str(checkout / "fast.yaml"))


def test_run_prints_findings_and_leaves_the_tables(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every cell, the formulas and the floor; tables hold their contracts; the records are gone."""
    code, out, _ = call(capsys, "engine", "run", "fake", "--json")

    found = json.loads(out)
    assert code == 0
    assert found["layers"] == ["storage", "instruction_set"]
    assert {r["formula"] for r in found["formulas"]} == {*Formula}
    assert {r["cell"] for r in found["cells"]} >= {"storage", "instruction_set", "instruction_set+storage"}
    folder = checkout / "data" / "engine" / "fake"
    assert len(JOINT.read(folder / "joint" / "engine.parquet"))
    assert len(DELTA.read(folder / "delta" / "engine" / "storage.parquet"))
    assert len(QUALITY.read(folder / "quality" / "joint" / "engine.parquet"))
    assert len(COUNTER.read(folder / "counter" / "engine.parquet"))
    assert not list((checkout / ".run" / "engine").glob("*.jsonl"))
    told = json.loads((folder / "joint" / "engine.json").read_text())
    assert told["given_up"] == {}
    assert set(told["machine"]) >= {"loud", "steal_share", "others_processors", "load"}
    assert len(told["experiment"]) == 20
    assert told["measured"].endswith("+00:00")


def test_run_tells_a_person(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a cell and a formula; a budget in words."""
    del checkout
    code, out, err = call(capsys, "engine", "run", "fake", "--cells", "storage", "--budget", "1s")

    assert code == 0
    assert "6 server starts of fake" in out
    assert "A/A floor of cpu_s" in out
    assert "independent" in out
    assert "machine: " in out
    assert "blocks 1 and 2: 6 server starts" in err


def test_the_stage_writes_where_later_stages_look(checkout: Path) -> None:
    """The stage's tables lie beside those of the other benches; layers outside the stack are not run."""
    (checkout / "params" / "stack.yaml").write_text(yaml.safe_dump(STACK | {"layers": ["storage"]}))
    effort = {"preset": "fake", "budget_s": {"default": 1}, "block_pairs": {"default": 1}}
    (checkout / "params" / "engine.yaml").write_text(yaml.safe_dump(effort))

    task.run(checkout)

    assert set(JOINT.read(checkout / "data/joint/engine.parquet")["cell"]) == {"base", "base@aa", "storage"}
    assert [p.stem for p in (checkout / "data/delta/engine").iterdir()] == ["storage"]
    told = json.loads((checkout / "data/joint/engine.json").read_text())
    assert (told["runs"], told["blocks"], told["layers"], told["techniques"]) == (6, 2, ["storage"], {"storage": ["cache"]})


def test_the_stage_measures_what_the_parameters_name() -> None:
    """The preset of params/engine.yaml is declared, is what dvc.yaml watches, and has a switch for four of the seed layers."""
    chosen = params.load(ROOT / task.SETTINGS, task.Default)
    engine = task.declared(ROOT, chosen.preset)
    stack = yaml.safe_load((ROOT / "params/stack.yaml").read_text())

    assert f"params/engines/{chosen.preset}.yaml" in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]["engine"]["deps"]
    assert set(stack["layers"]) - set(engine.layers) == {"chiplet"} == set(engine.absent) & set(stack["layers"])
    assert chosen.budget_s["default"] <= 120


def test_an_unknown_engine_is_told_with_those_there_are(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A preset that does not exist, and a file that does not."""
    del checkout
    code, _, err = call(capsys, "engine", "run", "trition")

    assert (code, err) == (
        2,
        "deltastack: no engine 'trition' in params/engines; there are: fake; or give the path of a YAML file\n",
    )
    assert call(capsys, "engine", "run", "mine.yaml")[0] == 2


def test_check_finds_an_unknown_flag_and_a_dead_switch_and_forecasts(tmp_path: Path) -> None:
    """The base runs, one technique is refused by its flag, one does not take; minutes are those of the base's pace."""
    whole = declared("cache", "quant", "batch")
    whole["techniques"]["quant"]["on_settings"]["flags"].append("--refuse")
    whole["start"]["command"].append("dead=batch")

    found = check.check(tmp_path, params.parse(whole, Engine, "x"), Order(), silent, start=True)

    by = {c.name: c for c in found.checks}
    assert by["cell base"].state == by["cell storage"].state == "ok"
    assert "cache.cached 9" in by["cell storage"].found
    assert "unknown flag --refuse" in by["cell instruction_set"].found
    assert "switch did not take: batch" in by["cell batching"].found
    assert found.forecast is not None
    assert (found.forecast.cells, found.forecast.starts) == (9, 18)
    assert found.forecast.pair_minutes == found.forecast.run_s * 18 / 60


def test_check_only_looks_when_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files, key, absent layers and conflicts; nothing is started, and a failed look starts nothing either."""
    monkeypatch.delenv("FAKE_KEY", raising=False)
    conflict = {"between": ["cache", "quant"], "kind": "refused", "why": "a test", "source": "hand"}
    absent = {"idle": {"reason": "no sleep", "source": "hand"}}
    one = engine("cache", "quant", conflicts=[conflict], absent=absent, key_variable="FAKE_KEY")

    for start in (False, True):
        found = check.check(tmp_path, one, Order(), silent, start=start)
        told = {c.name: (c.state, c.found) for c in found.checks}
        assert told["API key"] == ("fail", "no FAKE_KEY in the environment")
        assert told["layer idle"] == ("absent", "no sleep")
        assert told["cell instruction_set+storage"][1].startswith("left out: cache with quant: refused")
        assert told["file server"][0] == "ok"
        assert found.forecast is None
        assert "cell base" not in told


def test_check_fails_with_the_refused_code(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 3 for a script; a person reads one line a check."""
    whole = declared("cache")
    whole["files"]["server"] = "not/there.py"
    (checkout / "mine.yaml").write_text(yaml.safe_dump(whole))

    code, out, _ = call(capsys, "engine", "check", "mine.yaml", "--look")

    assert code == 3
    assert out.startswith("!! file server")


def test_show_prints_what_resolved(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By source and name; the log is counted, not printed."""
    del checkout
    code, out, _ = call(capsys, "engine", "show", "fake", "--cell", "storage")

    assert code == 0
    assert "settings.cache = true" in out
    assert "settings.quant = false" in out
    assert "text = " in out
    assert call(capsys, "engine", "show", "fake", "--match", "version")[1].split() == ["props", "version", "=", "fake", "1.0"]


@pytest.mark.parametrize("text", ["", "m", "30x", "-5", "0", "nan"])
def test_a_budget_that_is_no_time_is_refused(text: str) -> None:
    """The message has an example."""
    with pytest.raises(ParamsError, match="wanted a time such as 90s, 30m or 2h"):
        _seconds(text)


def test_one_address_a_cell(tmp_path: Path) -> None:
    """Servers that run already: only their requests are metered, the rest is null with its reason."""
    import contextlib

    from deltastack.engine import bench, process
    from tests.engine.test_process import HEALTH, STOP, command

    with contextlib.ExitStack() as stack:
        ports = {"base": process.free_port(), "storage": process.free_port()}
        for cell, port in ports.items():
            words = ("cache=1",) if cell == "storage" else ()
            stack.enter_context(process.running(command(port, *words), HEALTH, STOP, tmp_path / f"{cell}.log", {}))
        whole: dict[str, Any] = declared("cache", start=None, files={})
        whole["addresses"] = {c: f"http://127.0.0.1:{p}" for c, p in ports.items()}
        whole["experiment"] |= {"quantity": "time_s"}

        found = bench.measure(tmp_path, params.parse(whole, Engine, "x"), Order(), silent)

    assert set(found.joint["cell"]) == {"base", "base@aa", "storage"}
    cpu = found.joint[found.joint["resource"] == "cpu_s"]
    assert cpu["amount"].isna().all()
    assert set(cpu["reason"]) == {"the server was not started here: nobody can read its processes"}
    assert found.joint[found.joint["resource"] == "time_s"]["amount"].notna().all()
    assert found.host.startswith("servers at 127.0.0.1:")


def test_check_starts_the_named_cells_alone(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The base and what was named, a technique that is off too."""
    declared_here = declared("cache", "quant")
    declared_here["techniques"]["quant"]["on"] = False
    (checkout / "params" / "engines" / "fake.yaml").write_text(yaml.safe_dump(declared_here))

    code, _, said = call(capsys, "engine", "check", "fake", "--cells", "instruction_set/quant")

    assert code == 0
    assert [x for x in said.splitlines() if x.startswith("starting")] == ["starting base", "starting instruction_set/quant"]
