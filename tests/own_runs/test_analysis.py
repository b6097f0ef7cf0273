"""The analysis by hand, against the project's own formulas, and by simulation."""

from __future__ import annotations

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltastack import composition, statistics
from deltastack.errors import FactorialError
from deltastack.own_runs import CaseResult, Experiment, Observation, analyse
from deltastack.own_runs.analysis import analyse_experiment
from deltastack.own_runs.experiment import Metric

PUBLISHED = Path(__file__).parents[2] / "params/published"
TWO = "a,b,repeat,latency_ms\n0,0,1,100\n1,0,1,80\n0,1,1,50\n1,1,1,50\n"


def case(tmp_path: Path, text: str, **options: object) -> CaseResult:
    """The one setting of a CSV."""
    path = tmp_path / "runs.csv"
    path.write_text(text)
    return analyse(path, **options).only  # type: ignore[arg-type]


def frame(log_amounts: np.ndarray, names: tuple[str, ...], **more: object) -> pd.DataFrame:
    """Runs (n, 2^k) of log seconds as a data frame with a row a run."""
    rows = []
    for r, cells in enumerate(log_amounts):
        for m, y in enumerate(cells):
            rows.append({n: m >> i & 1 for i, n in enumerate(names)} | {"repeat": r, "time_s": math.exp(y)} | more)
    return pd.DataFrame(rows)


def test_two_layers_by_hand(tmp_path: Path) -> None:
    """100 ms; 80 and 50 alone: 20 % and 50 %; the product promises 60 %, 50 ms together are 50 %: 10 points, β = ln 1.25."""
    found = case(tmp_path, TWO)

    assert found.alone["a"].delta == pytest.approx(0.2)
    assert found.alone["b"].delta == pytest.approx(0.5)
    assert found.joint.delta == pytest.approx(0.5)
    assert found.predicted["independent"].delta == pytest.approx(0.6)
    assert found.predicted["weighted"].delta == pytest.approx(0.7)
    assert found.gap["independent"].delta == pytest.approx(0.1)
    assert found.interactions["a*b"].value == pytest.approx(math.log(1.25))
    assert found.shapley["a"].delta == pytest.approx(0.1)
    assert found.shapley["b"].delta == pytest.approx(0.4)
    assert found.verdict == "undecided"
    assert found.gap["independent"].lo is None
    assert "n = 1" in str(found.gap["independent"].reason)
    assert "of two layers" in str(found.gap["pairwise"].reason)


def test_a_rate_saves_what_it_is_faster(tmp_path: Path) -> None:
    """598 tokens/s; 1323 and 1190 alone, 1576 together: 1 - (598/1323)(598/1190) = 77.3 %, observed 62.1 %."""
    found = case(tmp_path, "fp8,pruning,tok_s\n0,0,598\n1,0,1323\n0,1,1190\n1,1,1576\n")

    assert found.higher_is_better
    assert found.predicted["independent"].delta == pytest.approx(1 - 598**2 / (1323 * 1190))
    assert found.joint.delta == pytest.approx(1 - 598 / 1576)


def test_a_single_by_welch(tmp_path: Path) -> None:
    """Base 100 and 121, a 80 and 96.8: ln ratios scatter by ln 1.21 on both sides; Δ = 20 % as Welch's log-ratio t says."""
    rows = "0,0,1,100\n0,0,2,121\n1,0,1,80\n1,0,2,96.8\n0,1,1,50\n0,1,2,50\n1,1,1,40\n1,1,2,40\n"
    found = case(tmp_path, "a,b,repeat,latency_ms\n" + rows).alone["a"]
    welch = statistics.log_ratio_unpaired([100, 121], [80, 96.8])

    assert (found.delta, found.lo, found.hi) == pytest.approx((0.2, welch.low, welch.high))
    assert found.n == 2


def experiment(y: np.ndarray, names: tuple[str, ...], *, blocks: bool) -> Experiment:
    """Runs (n, 2^k) of log seconds."""
    runs = tuple(
        Observation(cell=m, value=math.exp(v), block=str(r) if blocks else None)
        for r, row in enumerate(y)
        for m, v in enumerate(row)
    )
    return Experiment(metric=Metric(name="time_s", higher_is_better=False), layers=names, setting={}, observations=runs)


@given(
    st.lists(st.floats(-1, 1), min_size=8, max_size=8),
    st.lists(st.lists(st.floats(-0.05, 0.05), min_size=8, max_size=8), min_size=2, max_size=4),
)
@settings(max_examples=15, deadline=None)
def test_it_says_what_the_formulas_say(means: list[float], noise: list[list[float]]) -> None:
    """Every point estimate is the formula of ``composition`` on geometric means; the interaction at the base adds up."""
    y = np.array(means) + np.array(noise)
    found = analyse(frame(y, ("a", "b", "c"))).only
    mean = y.mean(axis=0)
    saved = 1 - np.exp(mean - mean[0])
    beta = np.zeros((3, 3))
    for i, j in combinations(range(3), 2):
        beta[i, j] = beta[j, i] = composition.interaction(*(float(saved[m]) for m in (1 << i, 1 << j, 1 << i | 1 << j)))
    singles = [float(saved[1 << i]) for i in range(3)]

    assert [e.delta for e in found.alone.values()] == pytest.approx(singles)
    assert found.joint.delta == pytest.approx(saved[7])
    assert found.predicted["independent"].delta == pytest.approx(composition.independent(singles))
    assert found.predicted["pairwise"].delta == pytest.approx(composition.pairwise(singles, beta.tolist()))
    assert found.gap["pairwise"].delta == pytest.approx(found.predicted["pairwise"].delta - saved[7], abs=1e-9)
    assert sum(e.delta or 0 for e in found.shapley.values()) == pytest.approx(saved[7], abs=1e-9)
    total = sum(math.log1p(-s) for s in singles) + sum(e.value or 0 for e in found.interactions.values())
    assert total == pytest.approx(mean[7] - mean[0], abs=1e-9)
    for e in (*found.alone.values(), found.joint, *found.predicted.values(), *found.gap.values()):
        assert e.lo is not None
        assert e.lo <= (e.delta or 0) + 1e-12
        assert (e.delta or 0) <= (e.hi or 0) + 1e-12


@pytest.mark.parametrize("column", ["repeat", "block"])
def test_the_truth_lies_inside(column: str) -> None:
    """Planted savings, gap and interaction lie inside their nominal 95 % intervals in 93 of 100 experiments or more."""
    rng = np.random.default_rng(5)
    y = np.log([[10.0, 8.0, 5.0, 4.6]])
    truth = {"alone": 0.2, "gap": 1 - 0.8 * 0.5 - (1 - 0.46), "joint": 0.54, "interaction": math.log(0.46 / 0.4)}
    inside = dict.fromkeys(truth, 0)
    for _ in range(200):
        shared = rng.normal(0, 0.1, (5, 1)) if column == "block" else 0.0
        found = analyse_experiment(experiment(y + shared + rng.normal(0, 0.02, (5, 4)), ("a", "b"), blocks=column == "block"))
        held = {
            "alone": found.alone["a"],
            "gap": found.gap["independent"],
            "joint": found.joint,
        }
        for name, e in held.items():
            inside[name] += (e.lo or 9) <= truth[name] <= (e.hi or -9)
        i = found.interactions["a*b"]
        inside["interaction"] += (i.lo or 9) <= truth["interaction"] <= (i.hi or -9)

    assert all(n >= 0.92 * 200 for n in inside.values()), inside


def test_blocks_cancel_what_they_share() -> None:
    """A drift of a factor between blocks widens an interval of repeats and not one of blocks."""
    rng = np.random.default_rng(1)
    y = np.log([[10.0, 8.0, 5.0, 4.6]]) + rng.normal(0, 0.3, (4, 1)) + rng.normal(0, 0.005, (4, 4))
    repeats = analyse(frame(y, ("a", "b"))).only.alone["a"]
    blocks = analyse(frame(y, ("a", "b")).rename(columns={"repeat": "block"})).only.alone["a"]

    assert blocks.delta == pytest.approx(repeats.delta)
    assert (blocks.hi or 0) - (blocks.lo or 0) < 0.2 * ((repeats.hi or 0) - (repeats.lo or 0))


def test_the_a100_study() -> None:
    """The product is wrong in every setting; pairwise is within 3 points except at concurrency 1."""
    found = analyse(PUBLISHED / "a100_awq_fp8kv_eagle3.csv")

    assert len(found.cases) == 8
    assert found.verdict == "fails"
    for c in found.cases:
        assert c.layers == ("W", "K", "S")
        assert 0.27 < (c.gap["independent"].delta or 0) < 0.53
        assert (abs(c.gap["pairwise"].delta or 0) < 0.03) == (c.setting["concurrency"] != "1")
    first = found.to_dict()["settings"][0]
    assert first["setting"] == {"workload": "gsm8k", "concurrency": "1"}
    assert first["interactions"]["W*K"].keys() == {"value", "lo", "hi"}


def test_json_keys(tmp_path: Path) -> None:
    """The keys that scripts read."""
    found = case(tmp_path, TWO).to_dict()

    assert found["metric"] == "latency_ms"
    assert found["layers"] == ["a", "b"]
    assert found["alone"]["a"].keys() >= {"delta", "lo", "hi", "n"}
    assert found["joint"].keys() >= {"delta", "lo", "hi"}
    assert found["predicted"].keys() >= {"independent", "pairwise", "weighted"}
    assert found["gap"]["independent"].keys() >= {"delta", "lo", "hi"}
    assert found["interactions"]["a*b"].keys() >= {"value", "lo", "hi"}


def test_a_pairwise_plan_predicts_and_lists_what_is_missing() -> None:
    """Of four layers: base, singles, pairs and the full cell; triples are missing by name, nothing is refused."""
    y = np.log(np.array([[10 * 0.8 ** m.bit_count() for m in range(16)]] * 2))
    y[1] += 0.01
    runs = frame(y, ("a", "b", "c", "d"))
    on = runs[["a", "b", "c", "d"]].sum(axis=1)
    found = analyse(runs[(on <= 2) | (on == 4)]).only

    assert found.missing_cells == ("1110", "1101", "1011", "0111")
    assert found.gap["pairwise"].delta == pytest.approx(0, abs=1e-12)
    assert found.shapley["a"].delta is None
    assert "not run" in str(found.shapley["a"].reason)


def test_a_half_fraction_says_what_is_confounded() -> None:
    """A with b*c: no cell has one layer alone; nothing is made up."""
    y = np.zeros((2, 8))
    runs = frame(y, ("a", "b", "c"))
    half = runs[(runs.a + runs.b + runs.c) % 2 == 1]
    found = analyse(half).only

    assert ("a", "b*c") in found.confounded
    assert found.joint.delta is None
    assert found.verdict == "undecided"


def test_a_hole_is_refused_unless_partial(tmp_path: Path) -> None:
    """The line names the cell; --partial leaves null with the reason."""
    runs = frame(np.zeros((2, 8)), ("a", "b", "c"))
    holed = runs[~((runs.a == 1) & (runs.b == 1) & (runs.c == 0))]

    with pytest.raises(FactorialError, match="missing cell a=1 b=1 c=0; add its runs, or pass --partial"):
        analyse(holed)
    assert analyse(holed, partial=True).only.gap["pairwise"].delta is None
    with pytest.raises(FactorialError, match="missing cell a=1 b=1;"):
        case(tmp_path, TWO.replace("1,1,1,50\n", ""))
