"""The Python API: light, the same numbers as the command line, readable results, from any folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import deltastack as ds
from deltastack.contracts import TOTAL
from deltastack.errors import EvidenceError, FactorialError, FormulaError, ParamsError, PreflightError
from deltastack.model import Bench, OperatingPoint, Resource

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "docs/examples/runs.csv"
LIGHT = "import sys, deltastack; print(','.join(sorted({m.split('.')[0] for m in sys.modules})))"


def test_the_import_loads_nothing_heavy() -> None:
    """No array, table or graph library is loaded before a function is asked for."""
    loaded = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert not {"numpy", "pandas", "pydantic", "numba", "prefect", "dvc", "mlflow", "torch"} & set(loaded.strip().split(","))


def test_an_unknown_name_lists_what_there_is() -> None:
    """A typo is answered with the names."""
    with pytest.raises(AttributeError, match="capacity, compose"):
        ds.composed  # noqa: B018 - the access is the point
    assert set(ds.__all__) <= set(dir(ds))


def test_savings_are_composed() -> None:
    """10 % and 15 % leave 0.9 x 0.85; half and half they save 12.5 %."""
    found = ds.compose([0.10, 0.15], [0.5, 0.5])
    assert found.independent == pytest.approx(0.235)
    assert found.to_dict() == pytest.approx({"independent": 0.235, "weighted": 0.125})
    assert found.to_frame()["formula"].tolist() == ["independent", "weighted"]
    assert str(found) == "independent  +23.5 %\nweighted     +12.5 %"
    assert found.plot().to_dict()["data"]
    with pytest.raises(AttributeError):
        found.pairwise  # noqa: B018 - the access is the point


@pytest.mark.parametrize(("deltas", "weights"), [([], None), ([0.1], [0.5, 0.5]), ([1.2], None)])
def test_what_cannot_be_composed_is_refused(deltas: list[float], weights: list[float] | None) -> None:
    """Nothing, weights that do not fit, more than everything."""
    with pytest.raises(FormulaError):
        ds.compose(deltas, weights)


def test_a_factorial_from_a_file_and_from_a_frame_agree() -> None:
    """The same numbers, text and table."""
    by_file, by_frame = ds.factorial(RUNS), ds.factorial(pd.read_csv(RUNS))
    assert by_file.only == by_frame.only
    rows = by_file.to_frame()
    joint = rows[(rows["kind"] == "together")]["delta"].item()
    assert joint == by_file.only.joint.delta
    assert "alone" in str(by_file)
    assert by_file.plot().to_dict()["data"]
    with pytest.raises(FactorialError):
        ds.factorial(RUNS.with_name("no_such_file.csv"))


def test_text_from_a_file_is_escaped_in_a_notebook() -> None:
    """A layer's name with markup shows as text."""
    frame = pd.DataFrame(
        {"<script>a": [0, 1, 0, 1], "b": [0, 0, 1, 1], "tpot_ms": [10.0, 8.0, 9.0, 7.0]},
    )
    shown = ds.factorial(frame)._repr_html_()
    assert "&lt;script&gt;a" in shown
    assert "<script>" not in shown


def test_the_fleet_answers_as_the_command_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same keys and values, from a folder that is no checkout."""
    words = ["--closed-loop", "8", "--prompt-tokens", "100", "--output-tokens", "40", "--draws", "1", "--json"]
    told = subprocess.run(
        [sys.executable, "-m", "deltastack.cli", "simulate", *words], capture_output=True, text=True, check=True, cwd=ROOT
    )
    monkeypatch.chdir(tmp_path)
    found = ds.simulate(closed_loop=8, prompt_tokens=100, output_tokens=40, draws=1)
    assert found.to_dict() == json.loads(told.stdout)
    assert found["requests_per_s"] > 0
    assert "output tokens/s" in str(found)
    assert set(found.to_frame().columns) >= {"component", "resource", "amount", "lo", "hi"}
    assert found.plot().to_dict()["data"]


def test_a_goodput_is_found_for_equal_prompts() -> None:
    """The rate that is found is the rate at which the answer was taken."""
    found = ds.capacity(output_tokens=20, draws=1)
    assert found["requests_per_s"] == found["rate_per_s"] > 0
    assert "goodput" in str(found)


def test_arguments_that_do_not_fit_are_refused() -> None:
    """A closed loop needs outputs; a trace has its own."""
    with pytest.raises(ParamsError, match="needs"):
        ds.simulate(output_tokens=10)
    with pytest.raises(ParamsError, match="needs"):
        ds.simulate(closed_loop=4)
    with pytest.raises(ParamsError, match="give one"):
        ds.capacity(output_tokens=10, trace="trace.csv")


def test_results_are_read_from_any_folder_of_a_checkout(tmp_path: Path) -> None:
    """Predicted, measured together, gap and verdict; a folder without results says what to run."""
    (tmp_path / "dvc.yaml").touch()
    with pytest.raises(EvidenceError, match="make run"):
        ds.read(tmp_path)
    where = (str(Bench.FLEET), str(OperatingPoint.AT_TRACE), str(Resource.ENERGY_J))
    none = (None, None, None)
    tail = ("simulated", None, True, "range_of_draws", 20, "assistant")
    rows = [
        (*where, "independent", 0.3, 0.2, 0.4, 0.05, 0.04, 0.06, "fails", *tail),
        (*where, "joint", 0.25, 0.2, 0.3, *none, "observed", *tail),
    ]
    TOTAL.write(TOTAL.frame(rows), tmp_path / "data/total.parquet")
    (tmp_path / "notes").mkdir()
    found = ds.read(tmp_path / "notes")
    row = found.to_frame().iloc[0]
    assert (row["predicted"], row["measured_together"], row["gap"], row["verdict"]) == (0.3, 0.25, 0.05, "fails")
    assert found.tables == ("total",)
    assert "fails" in str(found)
    assert found.plot().to_dict()["data"]
    with pytest.raises(EvidenceError, match=r"there are: total"):
        found.table("joint/nowhere")
    with pytest.raises(EvidenceError, match=r"metrics\.json"):
        found.metrics  # noqa: B018 - the access is the point


def test_outside_a_checkout_there_are_no_results(tmp_path: Path) -> None:
    """The folder is named."""
    with pytest.raises(PreflightError, match=r"dvc\.yaml"):
        ds.read(tmp_path)
