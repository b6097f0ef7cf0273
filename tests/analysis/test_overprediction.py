"""How often a formula promises more than the joint run gives: by hand, by a slow twin, on the page and among the numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deltastack.analysis.analysis import compute
from deltastack.analysis.factorial import Factorial, factorials
from deltastack.analysis.formula_totals import held, values
from deltastack.analysis.overprediction import RESAMPLES, Overprediction, overpredictions
from deltastack.contracts import USAGE
from deltastack.model import Bench, Component
from deltastack.report import metrics
from deltastack.report.html import table_rows as tables
from deltastack.report.html.page import html
from deltastack.stack import Stack
from tests.report.synthetic import joint

TWO = {"storage": dict.fromkeys(Component, 0.8), "idle": dict.fromkeys(Component, 0.5)}
NAMES = tuple(TWO)


def rates(f: Factorial) -> dict[str, Overprediction]:
    """By formula."""
    return overpredictions(f, held(f, tolerance=0.02, confidence=0.95).totals)


def drawn(betas: tuple[float, ...]) -> Factorial:
    """A fleet factorial with one log interaction a draw."""
    f = factorials(joint(TWO, samples=len(betas)), NAMES)[0][0]
    amounts = f.amounts.copy()
    amounts[f.full] *= np.exp(betas)
    return replace(f, amounts=amounts)


def test_draws_by_hand() -> None:
    """Interactions +0.1, +0.2, 0, -0.1, +0.05: the product predicts more in three of five draws; the pairwise formula in none."""
    found = rates(drawn((0.1, 0.2, 0.0, -0.1, 0.05)))

    assert (found["independent"].more, found["independent"].of) == (3, 5)
    assert tables.samples(found["independent"]) == "in 3 of 5 draws"
    assert found["pairwise"].more == 0


def test_blocks_against_a_slow_twin() -> None:
    """Five noisy blocks: the share over resamples is that of the product formed resample by resample, within its own noise."""
    f = factorials(joint(TWO, bench=Bench.TESTBED, samples=5, sd_log=0.3, seed=3), NAMES)[0][0]
    found = rates(f)["independent"]
    rng, more = np.random.default_rng(9), 0
    for _ in range(400):
        some = f.amounts[..., rng.integers(0, 5, 5)].mean(axis=-1, keepdims=True)
        said = values(replace(f, amounts=some))
        more += said["independent"][0] > said["joint"][0]

    assert (found.of, found.units) == (RESAMPLES, 5)
    assert 0.1 < found.rate < 0.9
    assert found.rate == pytest.approx(more / 400, abs=0.08)


def test_starts_that_differ_are_drawn_whole() -> None:
    """One start of three says more, by far, and two say a little less: 1 - (2/3)³ = 70 % of draws of three starts have it.

    Drawn block by block, 30 of them, hardly a resample would be without it.
    """
    f = factorials(joint(TWO, bench=Bench.TESTBED, samples=30, starts=3, sd_log=0.002), NAMES)[0][0]
    amounts = f.amounts.copy()
    amounts[f.full] *= np.exp(np.array([0.3, -0.05, -0.05])[list(f.starts or ())])
    whole, blocks = (rates(replace(f, amounts=amounts, starts=s))["independent"] for s in (f.starts, None))

    assert tables.samples(whole).endswith("resamples of 3 process starts")
    assert whole.rate == pytest.approx(1 - (2 / 3) ** 3, abs=0.03)
    assert blocks.units == 30
    assert blocks.rate > 0.95


def test_a_sure_promise_is_a_share_of_one() -> None:
    """A large interaction under little noise: every resample shows it, and none shows the opposite one."""
    shares = [
        rates(factorials(joint(TWO, {NAMES: beta}, bench=Bench.TESTBED, samples=4, sd_log=0.01), NAMES)[0][0])["independent"].rate
        for beta in (0.3, -0.3)
    ]

    assert shares == [1.0, 0.0]


def test_nothing_is_counted_where_there_is_nothing_to_count() -> None:
    """A single sample, a single layer and a base that spends nothing have no share."""
    f = drawn((0.1, 0.2))
    spent = f.amounts.copy()
    spent[0] = 0.0

    assert rates(replace(f, amounts=f.amounts[..., :1])) == {}
    assert rates(factorials(joint({"idle": TWO["idle"]}), ("idle",))[0][0]) == {}
    assert rates(replace(f, amounts=spent)) == {}


def test_it_stands_beside_the_totals() -> None:
    """One sentence a bench in words, the same beside each formula, and a share by name."""
    frames = {
        Bench.FLEET: joint(TWO, {NAMES: 0.2}, samples=6),
        Bench.TESTBED: joint(TWO, {NAMES: 0.2}, bench=Bench.TESTBED, samples=4, sd_log=0.01),
    }
    made = compute(
        stack=Stack(layers=NAMES, tolerance=0.02, confidence=0.95, effort="default"),
        workload={"words": "a", "source": "b", "dropped_rows": 0, "text_only_share": 0.5},
        baseline=USAGE.empty(),
        deltas={},
        joint=frames,
    )
    fleet, testbed = tables.overpredictions(made)
    page = html(made, {})

    assert fleet == "energy, fleet bench at trace: in 6 of 6 draws the product predicts more than the joint run gives."
    assert testbed.startswith("energy, testbed bench per session: in 100 % of 2,000 resamples of 4 blocks the product predicts")
    assert f"<p>{fleet}</p>" in page
    assert "predicts more in 6 of 6<" in page
    assert "predicts more in 100 %<" in page
    assert metrics(made)["overprediction_rate"]["testbed"]["energy_j"]["independent"] == 1.0
