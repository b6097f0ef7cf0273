"""Exact work of a run: by hand from answers and a card, only where it is exact; and clocks of processes finer than ticks."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from deltastack import params
from deltastack.engine import cells, exact, meters, readback
from deltastack.engine.client import Outcome, Record
from deltastack.engine.declaration import Engine, ExactWork
from deltastack.engine.techniques import Evidence
from tests.engine.fakes import declared

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.engine.cells import Cell

DECODER = {"blocks_byte": 1000, "head_byte": 100, "key_width": 64, "value_width": 32}
TEXT = ExactWork(card="models.json", micro_batch="{micro}")


def record(computed: int, cached: int, generated: int, **more: float) -> Record:
    """An answer with its counts."""
    told = {"timings.prompt_n": computed, "timings.cache_n": cached, "timings.predicted_n": generated} | more
    return Record(
        number=0,
        outcome=Outcome.OK,
        sent_s=0,
        queue_s=0,
        first_s=0.1,
        last_s=0.2,
        reported={k: float(v) for k, v in told.items()},
    )


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    """The base of an engine whose model is in the card, with micro-batches of 8."""
    (tmp_path / "models.json").write_text(json.dumps({"files": [{"name": "m.gguf", "decoder": DECODER}]}))
    whole = declared("cache", values={"micro": "8"})
    whole["files"]["model"] = "m.gguf"
    return cells.resolve(params.parse(whole, Engine, "x"), "base", tmp_path)


def test_two_answers_by_hand(cell: Cell, tmp_path: Path) -> None:
    """10 and 3 computed tokens in passes of 8: 2 + 1, and 1 + 2 more for 2 and 3 generated; six weights, five heads."""
    found = exact.figures(TEXT, tmp_path, cell, [record(10, 0, 2), record(3, 7, 3)], {"engine.decode_calls": 6.0})
    assert found["passes"] == 6
    assert found["weights_read_byte"] == 6 * 1000 + 5 * 100
    assert found["kv_written_byte"] == (11 + 5) * 192
    assert found["kv_read_byte"] == (8 + 10 + 11 + 10 + 11 + 12) * 192


def test_a_picture_is_a_part_that_the_engine_does_not_count(cell: Cell, tmp_path: Path) -> None:
    """1 + 16 + 3 tokens and 5 generated: passes of 1, 8, 8, 3 and four more, of which the engine counts all but the picture's."""
    wanted = TEXT.model_copy(update={"picture": 16})
    told = {"engine.decode_calls": 6.0}
    assert exact.figures(wanted, tmp_path, cell, [record(20, 0, 5)], told)["passes"] == 8
    assert exact.figures(wanted, tmp_path, cell, [record(20, 0, 5)], {"engine.decode_calls": 7.0}) == {}


@pytest.mark.parametrize("more", [{"timings.draft_n": 4}, {"timings.predicted_n": 0}])
def test_what_is_not_exact_has_no_figure(cell: Cell, tmp_path: Path, more: dict[str, float]) -> None:
    """Drafted or empty answers, answers without counts, a model that the card lacks, requests that shared passes."""
    assert exact.figures(TEXT, tmp_path, cell, [record(10, 0, 2, **more)], {}) == {}
    bare = Record(number=0, outcome=Outcome.OK, sent_s=0, queue_s=0, first_s=0.1, last_s=0.2)
    assert exact.figures(TEXT, tmp_path, cell, [bare], {}) == {}
    assert exact.figures(None, tmp_path, cell, [record(10, 0, 2)], {}) == {}
    assert exact.figures(TEXT.model_copy(update={"model": "server"}), tmp_path, cell, [record(10, 0, 2)], {}) == {}
    whole = declared("cache", values={"micro": "8"}, load={"concurrency": 2})
    whole["files"]["model"] = "m.gguf"
    shared = cells.resolve(params.parse(whole, Engine, "x"), "base", tmp_path)
    assert exact.figures(TEXT, tmp_path, shared, [record(10, 0, 2)], {}) == {}


def test_lines_of_a_log_are_evidence() -> None:
    """Two more places match after the load than before."""
    one = Evidence(name="slept", source="log", key="text", matches="sleeping", at_least=1)
    assert readback.grown({"log": {"text": "sleeping"}}, {"log": {"text": "sleeping, sleeping\nsleeping"}}, one) == 2
    assert readback.grown({}, {}, one) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the clock of another process is Linux's")
def test_a_process_has_a_clock_finer_than_ticks() -> None:
    """Its own clock read from outside lies between two readings from inside; a process that is not there has none."""
    before_s = os.times().user + os.times().system
    found = meters.clock_s(os.getpid())
    assert found is not None
    assert found > before_s - 0.02
    assert round(found, 2) != found or round(meters.clock_s(os.getpid()) or 0, 2) != found
    assert meters.clock_s(2**22 + 1) is None
