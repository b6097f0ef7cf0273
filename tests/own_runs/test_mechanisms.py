"""Mechanisms in one's own factorial: by hand, on a planted truth, in every form of input, and what is refused."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.cli.mechanisms import parsed
from deltastack.errors import FactorialError, ParamsError
from deltastack.own_runs import CaseResult, analyse
from deltastack.own_runs.page import page
from deltastack.own_runs.text import text
from deltastack.statistics import shapley

if TYPE_CHECKING:
    from pathlib import Path

SPLIT = {"split": ("a", "b")}
TABLE = "a,b,split,latency_ms\n0,0,0,100\n1,0,0,150\n0,1,0,120\n1,1,0,122\n0,0,1,150\n"
H100 = """
- id: h100
  metric: time_s
  higher_is_better: false
  resource: time
  baseline: 1.0
  singles: {low_precision: 0.837, chiplet: 1.567, pipeline: 1.434, storage: 0.744, idle: 0.937}
  joint: 0.89
  mechanisms: {micro_batches: {of: [chiplet, pipeline], alone: 1.567}}
"""


def case(tmp_path: Path, body: str, name: str = "runs.csv", **options: object) -> CaseResult:
    """The one setting of a file."""
    (tmp_path / name).write_text(body)
    return analyse(tmp_path / name, **options).only  # type: ignore[arg-type]


def test_two_layers_by_hand(tmp_path: Path) -> None:
    """1.5 x 1.2 / 1.5 = 1.2 of the base is predicted, 1.22 observed: 2 points too much; the product is off by 58."""
    found = case(tmp_path, TABLE, mechanisms=SPLIT)

    assert found.layers == ("a", "b")
    assert found.mechanisms["split"].alone.delta == pytest.approx(-0.5)
    assert found.predicted["by_mechanism"].delta == pytest.approx(-0.2)
    assert found.gap["by_mechanism"].delta == pytest.approx(0.02)
    assert found.gap["independent"].delta == pytest.approx(-0.58)
    assert found.shapley["a"].delta == pytest.approx(float(shapley(np.array([0.0, -0.5, -0.2, -0.22]))[0]))
    assert "the mechanism split is shared by a and b: a product of their savings counts it twice" in found.notes


def test_the_h100_by_hand(tmp_path: Path) -> None:
    """The product says -31.1 %, by mechanism +16.3 %, together +11.0 %."""
    found = case(tmp_path, H100, "h100.yaml")

    assert found.predicted["independent"].delta == pytest.approx(-0.3112, abs=1e-4)
    assert found.predicted["by_mechanism"].delta == pytest.approx(0.1632, abs=1e-4)
    assert found.gap["by_mechanism"].delta == pytest.approx(0.0532, abs=1e-4)


def test_it_stands_beside_the_others(tmp_path: Path) -> None:
    """Text, page and JSON have it with its gap; without a mechanism none of them names it."""
    path = tmp_path / "runs.csv"
    path.write_text(TABLE)
    found = analyse(path, mechanisms=SPLIT)
    said = found.to_dict()

    assert said["predicted"]["by_mechanism"]["delta"] == pytest.approx(-0.2)
    assert said["gap"]["by_mechanism"]["delta"] == pytest.approx(0.02)
    assert said["mechanisms"]["split"]["of"] == ["a", "b"]
    json.dumps(said, allow_nan=False)
    assert "by mechanism" in text(found)
    assert "mechanism split alone" in text(found)
    assert "mechanism split alone" in page(found)
    path.write_text("a,b,latency_ms\n0,0,100\n1,0,150\n0,1,120\n1,1,122\n")
    without = analyse(path)
    assert "mechanism" not in text(without)
    assert "mechanism" not in json.dumps(without.to_dict())


@given(st.lists(st.floats(-0.3, 0.3), min_size=3, max_size=3), st.floats(0.1, 0.6))
def test_a_planted_mechanism_is_found(own: list[float], shared: float) -> None:
    """Three layers with effects of their own, two of which pay one mechanism: by mechanism is exact, the product off by it."""
    rows = []
    for m in range(8):
        log = sum(own[i] for i in range(3) if m >> i & 1) + (shared if m & 3 else 0.0)
        rows.append({"a": m & 1, "b": m >> 1 & 1, "c": m >> 2 & 1, "split": 0, "time_s": math.exp(log)})
    rows.append({"a": 0, "b": 0, "c": 0, "split": 1, "time_s": math.exp(shared)})
    found = analyse(pd.DataFrame(rows), mechanisms=SPLIT).only

    assert found.gap["by_mechanism"].delta == pytest.approx(0.0, abs=1e-9)
    left = 1 - (found.joint.delta or 0.0)
    assert found.gap["independent"].delta == pytest.approx(left * (1 - math.exp(shared)))


@pytest.mark.parametrize("blocks", [False, True])
def test_its_interval_covers(blocks: bool) -> None:  # noqa: FBT001 - a case
    """5 % noise a run, six runs of each cell: the planted gap of 0 is held in 90 % or more of 120 experiments."""
    rng, hits = np.random.default_rng(6), 0
    cells = [(0, 0, 0, 0.0), (1, 0, 0, 0.4), (0, 1, 0, 0.3), (1, 1, 0, 0.3), (0, 0, 1, 0.4)]
    for _ in range(120):
        rows = [
            {"a": a, "b": b, "split": s, "block" if blocks else "repeat": n, "time_s": math.exp(y + rng.normal(0, 0.05))}
            for a, b, s, y in cells
            for n in range(6)
        ]
        gap = analyse(pd.DataFrame(rows), mechanisms=SPLIT).only.gap["by_mechanism"]
        hits += gap.lo <= 0 <= gap.hi  # type: ignore[operator]

    assert hits >= 0.9 * 120


def test_before_it_is_measured(tmp_path: Path) -> None:
    """Declared and not run: the product is said to count it twice, and by mechanism is null with the reason."""
    found = case(tmp_path, "a,b,latency_ms\n0,0,100\n1,0,150\n0,1,120\n1,1,122\n", mechanisms=SPLIT)

    assert found.predicted["by_mechanism"].delta is None
    assert found.predicted["by_mechanism"].reason == "not run: split alone"
    assert "counts it twice" in found.notes[0]


def test_a_mechanism_of_one_layer_changes_nothing(tmp_path: Path) -> None:
    """What nobody shares is counted once by the product."""
    found = case(tmp_path, TABLE, mechanisms={"split": ("a",)})

    assert found.predicted["by_mechanism"].delta == pytest.approx(found.predicted["independent"].delta)
    assert not any("counts it" in n for n in found.notes)


@pytest.mark.parametrize(
    ("body", "mechanisms", "words"),
    [
        (TABLE.replace("1,1,0,122", "1,1,1,122"), SPLIT, "line 5, column 'split'.*here beside a and b"),
        (TABLE.replace("0,0,1,150", "0,0,2,150"), SPLIT, "a mechanism is 1 in the runs of it alone, else 0"),
        (TABLE, {"split": ("a", "d")}, "mechanism split of a, d: wanted layers among a, b"),
    ],
)
def test_refused(tmp_path: Path, body: str, mechanisms: dict[str, tuple[str, ...]], words: str) -> None:
    """A mechanism beside a layer, another value, a layer that is none."""
    with pytest.raises(FactorialError, match=words):
        case(tmp_path, body, mechanisms=mechanisms)


def test_a_yaml_says_its_mechanisms_itself(tmp_path: Path) -> None:
    """The option is for tables; a wrong key is named."""
    with pytest.raises(FactorialError, match="--mechanism names a column of a table"):
        case(tmp_path, H100, "h100.yaml", mechanisms=SPLIT)
    with pytest.raises(FactorialError, match=r"mechanisms\.micro_batches"):
        case(tmp_path, H100.replace("alone: 1.567", "alone: -1"), "h100.yaml")


@pytest.mark.parametrize("given_text", ["split", "=a,b", "split=", "split=a,a", "split=a,"])
def test_the_option(given_text: str) -> None:
    """NAME=A,B; anything else is refused with an example."""
    assert parsed(["split=a, b", "pack=b,c"]) == {"split": ("a", "b"), "pack": ("b", "c")}
    with pytest.raises(ParamsError, match="such as split=a,b"):
        parsed([given_text])
    with pytest.raises(ParamsError, match="such as split=a,b"):
        parsed(["split=a,b", "split=c,d"])
