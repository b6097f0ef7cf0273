"""Mechanisms of a measured bench: run alone beside the factorial, counted once, with an error over all cells."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from deltastack.analysis.analysis import compute
from deltastack.analysis.factorial import factorials
from deltastack.analysis.formula_totals import NO_MECHANISM, by_mechanism, held
from deltastack.analysis.occasions import Circumstances
from deltastack.contracts import JOINT, USAGE
from deltastack.model import MECHANISM, Bench, Component
from deltastack.outcomes import Formula
from deltastack.report.html.page import html
from deltastack.stack import Stack
from tests.report.synthetic import joint

COST = dict.fromkeys(Component, 1.5)
THREE = {"chiplet": COST, "pipeline": dict.fromkeys(Component, 1.8), "idle": dict.fromkeys(Component, 0.9)}
NAMES = tuple(THREE)
USES = {"split": ("chiplet", "pipeline")}
QUIET = Circumstances(measured="2026-11-27T10:00:00", loud=())


def table(*, sd_log: float = 0.0, skip: tuple[int, ...] = ()) -> pd.DataFrame:
    """Six blocks of every set of layers: chiplet and pipeline share a split that costs 40 %; and the split alone."""
    planted = joint(THREE, {("chiplet", "pipeline"): -math.log(1.4)}, bench=Bench.ENGINE, samples=6, sd_log=sd_log)
    alone = planted[planted["cell"] == "base"].assign(cell=f"{MECHANISM}split")
    alone = alone.assign(amount=alone["amount"] * 1.4)
    return JOINT.check(pd.concat([planted, alone[~alone["block"].isin(skip)]], ignore_index=True))


def test_by_hand() -> None:
    """1.5 x 1.8 x 0.9 / 1.4 is left, and was observed: no gap in any cell; the product is off by 0.9 x 1.5 x 1.8 - that."""
    f = factorials(table(), NAMES, mechanisms=USES)[0][0]
    found = held(f, tolerance=0.02, confidence=0.95, at=QUIET)
    mine, product = found.totals[Formula.BY_MECHANISM], found.totals[Formula.INDEPENDENT]

    assert mine.saving is not None
    assert mine.saving.value == pytest.approx(1 - 1.5 * 1.8 * 0.9 / 1.4)
    assert (mine.verdict, product.verdict) == ("holds", "fails")
    assert product.gap is not None
    assert product.gap.value == pytest.approx(-2.43 * (1 - 1 / 1.4))
    errors = {e.formula: e for e in found.errors}
    assert errors[Formula.BY_MECHANISM].root_mean_square.value == pytest.approx(0, abs=1e-9)
    assert errors[Formula.INDEPENDENT].worst == ("chiplet", "pipeline")
    assert {c.formula for c in found.cells} >= {Formula.BY_MECHANISM}


def test_a_cell_with_one_of_the_two_is_a_product() -> None:
    """Chiplet and idle share nothing: the mechanism takes nothing off."""
    f = factorials(table(), NAMES, mechanisms=USES)[0][0]

    assert by_mechanism(f.within(0b101))[0] == pytest.approx(1 - 1.5 * 0.9)
    assert by_mechanism(f.within(0b011))[0] == pytest.approx(1 - 1.5 * 1.8 / 1.4)


@pytest.mark.parametrize(
    ("planted", "uses"),
    [
        (table(), {}),
        (table(), {"split": ("chiplet",)}),
        (table(skip=(2,)), USES),
        (joint(THREE, bench=Bench.ENGINE, samples=6), USES),
    ],
)
def test_absent_with_its_reason(planted: pd.DataFrame, uses: dict[str, tuple[str, ...]]) -> None:
    """Nobody declares it, one layer alone has it, a block lacks it, or it was not run; the others stand as they were."""
    f = factorials(planted, NAMES, mechanisms=uses)[0][0]
    found = held(f, tolerance=0.02, confidence=0.95, at=QUIET)

    assert found.totals[Formula.BY_MECHANISM].saving is None
    assert found.totals[Formula.BY_MECHANISM].reason == NO_MECHANISM
    assert found.totals[Formula.INDEPENDENT].saving is not None
    assert len(f.amounts) == 8
    assert np.isfinite(f.amounts).all()


@pytest.mark.parametrize(("uses", "shown"), [(USES, True), ({}, False)])
def test_the_page_has_its_column_where_it_was_measured(uses: dict[str, tuple[str, ...]], shown: bool) -> None:  # noqa: FBT001 - a case
    """Beside the others with gap and verdict, and among the errors over all cells; nowhere where it is not known."""
    made = compute(
        stack=Stack(layers=NAMES, tolerance=0.02, confidence=0.95, effort="default"),
        workload={"words": "a", "source": "b", "dropped_rows": 0, "text_only_share": 0.5},
        baseline=USAGE.empty(),
        deltas={},
        joint={Bench.ENGINE: table(sd_log=0.001)},
        measured_at={Bench.ENGINE: QUIET},
        mechanisms={Bench.ENGINE: uses},
    )
    page = html(made, {})

    assert page.count("<th>by mechanism</th>") == (2 if shown else 0)
    assert not made.tables.joint[Bench.ENGINE]["cell"].str.startswith(MECHANISM).any()
