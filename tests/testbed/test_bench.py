"""The bench: cells are entered, sessions metered, and what cannot be entered is left out with its reason."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from deltastack.errors import OutOfValidityError
from deltastack.experiment.meter import Quantity, Reading
from deltastack.experiment.plan import Kind, Slot
from deltastack.model import Component, Resource
from deltastack.testbed import bench
from deltastack.testbed.bench import Setup
from tests.testbed import tiny
from tests.testbed.test_models import chosen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deltastack.testbed.vlm.engine import Engine

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@contextlib.contextmanager
def blank_images(engine: Engine) -> Iterator[None]:
    """A switch: the encoder runs for text as well."""
    with engine.override("encode_text", value=True, by="blank_images"):
        yield


@contextlib.contextmanager
def refused(engine: Engine) -> Iterator[None]:
    """A switch that does not apply to any host."""
    raise OutOfValidityError(f"not applicable: {engine.host.family} has no such part")
    yield


def absent(engine: Engine) -> None:
    """A switch of a technique without a meaning on the testbed."""
    del engine


def slot(cell: str) -> Slot:
    """The first run of ``cell``."""
    return Slot(start=0, block=0, position=0, cell=cell, kind=Kind.RUN)


def test_a_run_reports_meter_and_components(tmp_path: Path) -> None:
    """Components add up within 2 %, the file was cold, the bytes read are those of the file, A/A names share a cell."""
    cells = {"base": (), "fixed": (blank_images,)}
    setup = Setup(root=tmp_path, settings=chosen(), text_share=0.5, cells=cells)

    with bench.opened(0, setup) as run:
        base, again, fixed = run(slot("base")), run(slot("base@aa")), run(slot("fixed"))

    for entry in (base, again, fixed):
        assert entry.quality["component_share"] == pytest.approx(1, abs=0.02)
        assert entry.quality["cached_byte_before"] == 0
        assert entry.components[Component.STORAGE][Resource.IO_BYTE] >= entry.quality["asked_byte"]
        assert entry.readings[Quantity.CPU_S].value is not None
    assert base.quality["requests"] == 6


def test_cells_that_cannot_be_entered_are_left_out(tmp_path: Path) -> None:
    """Each with its reason; the others stay, and nothing stays switched on."""
    engine = tiny.engine("llava", tmp_path)
    cells = {"base": (), "fixed": (blank_images,), "both": (blank_images, refused), "none": (absent,)}

    good, reasons = bench.possible(engine, cells)

    assert list(good) == ["base", "fixed"]
    assert reasons["both"] == "not applicable: llava has no such part"
    assert reasons["none"] == "the technique has no meaning on the testbed"
    assert engine.serving.encode_text is False


def test_what_of_a_start_is_taken_out_by_hand() -> None:
    """Of 10 s and 8 s of processor time 2 s and 1 s are loading for others: 8 s, 7 s, and four fifths of the joules."""
    whole = {
        Quantity.WALL_S: Reading(10.0, "hand"),
        Quantity.CPU_S: Reading(8.0, "hand"),
        Quantity.ENERGY_J: Reading(50.0, "hand"),
        Quantity.IO_READ_BYTE: Reading(None, "hand", "not read"),
    }
    found = bench.without(whole, {Resource.TIME_S: 2.0, Resource.CPU_S: 1.0}, wall_s=10.0)

    assert [found[q].value for q in whole] == [8.0, 7.0, 40.0, None]


def test_a_start_is_charged_to_the_requests_that_it_serves(tmp_path: Path) -> None:
    """Six requests of one start of 600: a hundredth of loading stays in components and reading, and the rest is read apart."""
    at = chosen()
    cells = {"base": ()}
    shared = at.model_copy(update={"session": at.session.model_copy(update={"start_serves": 600})})
    with bench.opened(0, Setup(root=tmp_path, settings=shared, text_share=0.5, cells=cells)) as run:
        entry = run(slot("base"))
    alone = at.model_copy(update={"session": at.session.model_copy(update={"start_serves": None})})
    with bench.opened(0, Setup(root=tmp_path, settings=alone, text_share=0.5, cells=cells)) as run:
        whole = run(slot("base"))

    storage, loaded_s = (e.components[Component.STORAGE][Resource.CPU_S] for e in (entry, whole))
    assert 0.009 * entry.quality["load_cpu_s"] < storage < entry.quality["load_cpu_s"]
    assert loaded_s > 0.9 * whole.quality["load_cpu_s"] > 0
