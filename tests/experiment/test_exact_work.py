"""The card of exact work: by hand, the same whatever the order of runs, and never from figures that runs do not agree on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.contracts import COUNTER
from deltastack.experiment.exact_work import ExactWork, of_counters, of_plain
from deltastack.model import AA_TWIN, Bench, Evidence, OperatingPoint
from deltastack.report.text import exact_work as words

if TYPE_CHECKING:
    import pandas as pd

LAYERS = ("storage", "pipeline")
AMOUNTS = {"base": 400, AA_TWIN: 400, "storage": 400, "pipeline": 600, "pipeline+storage": 600}


def counters(amounts: dict[str, int], *, off: int = 0, order: int = 1) -> pd.DataFrame:
    """Two blocks of every cell; the second run of the pipeline reads ``off`` more bytes; and a time, which is not exact."""
    rows = []
    for cell, amount in [*amounts.items()][::order]:
        for block in (0, 1):
            read = amount + off * (cell == "pipeline" and block)
            for name, value in (("weights_read_byte", read), ("ttft_s", 0.1 + block)):
                head = (cell, Bench.ENGINE, OperatingPoint.PER_SESSION, block, len(rows), 0, name)
                rows.append((*head, float(value), Evidence.MEASURED, "a host", True))
    return COUNTER.frame(rows)


def test_by_hand() -> None:
    """The pipeline reads half as much again, alone and together: the product is right to the last byte."""
    found = of_counters(counters(AMOUNTS))

    assert found.cells["base"] == {"weights_read_byte": 400}
    assert AA_TWIN not in found.cells
    assert found.figures == ("weights_read_byte",)
    assert found.saved("pipeline", "weights_read_byte") == -0.5
    assert found.product(LAYERS, "weights_read_byte") == found.saved("pipeline+storage", "weights_read_byte") == -0.5
    assert found.saved("pipeline", "ttft_s") is None
    said = words.lines("engine", found.plain(), LAYERS)[0]
    assert said.endswith("bytes of weights read pipeline -50.0 %, together -50.0 %, product -50.0 %")
    assert words.table(found.plain(), LAYERS)[1][1:] == ["0.0 %", "-50.0 %", "-50.0 %", "-50.0 %"]


def test_the_digest_is_of_amounts_alone() -> None:
    """Another order of cells or of runs has the same; a byte more has another; JSON and back keeps it."""
    first, turned = of_counters(counters(AMOUNTS)), of_counters(counters(AMOUNTS, order=-1))
    more = of_counters(counters(AMOUNTS | {"storage": 401}))

    assert first.digest == turned.digest == of_plain(json.loads(json.dumps(first.plain()))).digest
    assert first.digest != more.digest


def test_what_runs_do_not_agree_on_is_named_and_left_out() -> None:
    """One byte more in one of two runs: no figure of that cell, its name on the card, and another digest."""
    even, uneven = of_counters(counters(AMOUNTS)), of_counters(counters(AMOUNTS, off=1))

    assert uneven.uneven == ("pipeline: weights_read_byte",)
    assert "pipeline" not in uneven.cells
    assert uneven.digest != even.digest
    assert "not the same in every run: pipeline: weights_read_byte" in words.lines("engine", uneven.plain(), LAYERS)[0]


@given(st.lists(st.integers(1, 10**12), min_size=3, max_size=3))
def test_the_product_is_that_of_what_is_left(amounts: list[int]) -> None:
    """1 - (a / base) (b / base)."""
    base, a, b = amounts
    card = ExactWork(cells={"base": {"passes": base}, "storage": {"passes": a}, "pipeline": {"passes": b}})

    assert card.product(LAYERS, "passes") == pytest.approx(1 - a / base * (b / base))
    assert card.product(("storage", "idle"), "passes") is None


def test_nothing_counted_says_nothing() -> None:
    """A bench that counts nothing has no line and no table."""
    assert words.lines("engine", {}, LAYERS) == []
    assert words.table({}, LAYERS) == []
