"""Layers as cells of the testbed: every technique's switch is reached, its control changes nothing, other baselines are named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deltastack.evaluation import testbed_cells
from deltastack.experiment import tables
from deltastack.experiment.ledger import Entry
from deltastack.experiment.meter import Quantity, Reading
from deltastack.experiment.plan import Kind, Slot
from deltastack.layers import LAYERS, techniques
from deltastack.testbed import bench
from tests.fakes import FIVE
from tests.testbed import tiny

if TYPE_CHECKING:
    from deltastack.layers.techniques import ConfiguredTechnique

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
ROOT = Path(__file__).parents[2]


def every() -> list[ConfiguredTechnique]:
    """Every technique of every layer, as params/layers choose it."""
    return [one for layer in LAYERS.values() for one in techniques.chosen(ROOT, layer)]


def test_every_switch_changes_serving(tmp_path: Path) -> None:
    """On, each switch changes what is served (but for the encoder skip and the mapping)."""
    engine = tiny.engine("llava", tmp_path)
    here = {one.name: one for one in every() if one.technique.on_testbed}
    before = repr(engine.serving)

    for name, one in here.items():
        on = one.technique.switch(engine, one.params)
        assert on is not None, name
        with on:
            assert (repr(engine.serving) == before) == (name in {"encoder_skip", "shared_weights"}), name
        assert repr(engine.serving) == before, name


def test_techniques_of_the_testbed_alone_have_no_place_on_the_fleet() -> None:
    """Without a rewrite are three techniques of the five default layers; the fleet has no rows of them."""
    alone = {one.name for one in every() if not one.on_fleet}
    default = {t.name for name in FIVE for t in LAYERS[name].techniques}

    assert alone & default == {"encoder_skip", "encoder_unload", "shared_weights"}
    assert all(one.technique.rewrite(None, one.params) is None for one in every() if not one.on_fleet)  # type: ignore[arg-type]


def test_controls_change_nothing(tmp_path: Path) -> None:
    """With its control's values, no technique changes what is served."""
    engine = tiny.engine("llava", tmp_path)
    before = repr(engine.serving)

    for one in every():
        on = one.control().technique.switch(engine, one.control().params)
        if on is not None:
            with on:
                assert repr(engine.serving) == before, one.name


def test_five_layers_have_something_on(tmp_path: Path) -> None:
    """The factorial has 32 cells, all of which can be entered."""
    engine = tiny.engine("llava", tmp_path)
    chosen = {name: techniques.chosen(ROOT, LAYERS[name]) for name in FIVE}
    able = {name: testbed_cells.with_switch(engine, some, entered=True) for name, some in chosen.items()}

    cells = testbed_cells.of_stack(chosen, able)

    assert len(cells) == 32
    assert bench.possible(engine, cells)[1] == {}


def test_a_further_layer_makes_the_factorial_twice_as_large(tmp_path: Path) -> None:
    """With ``pruning`` beside the five there are 64 cells, all of which can be entered."""
    engine = tiny.engine("llava", tmp_path)
    chosen = {name: techniques.chosen(ROOT, LAYERS[name]) for name in (*FIVE, "pruning")}
    able = {name: testbed_cells.with_switch(engine, some, entered=True) for name, some in chosen.items()}

    cells = testbed_cells.of_stack(chosen, able)

    assert len(cells) == 64
    assert bench.possible(engine, cells)[1] == {}


def test_other_baselines_are_cells_and_have_rows_of_their_own(tmp_path: Path) -> None:
    """The idle layer has a cell @fixed_graph; encoder_skip is held against it in rows of their own, by hand: 5 s and 3 s."""
    engine = tiny.engine("llava", tmp_path)
    chosen = techniques.chosen(ROOT, LAYERS["idle"])
    cells = testbed_cells.of_layer(chosen, testbed_cells.with_switch(engine, chosen, entered=True))
    seconds = {"base": 3.0, "encoder_skip": 3.0, "@fixed_graph": 5.0}
    entries = [
        Entry(
            slot=Slot(start=0, block=0, position=0, cell=cell, kind=Kind.RUN),
            readings={q: Reading(None, "hand", "not read") for q in (Quantity.IO_READ_BYTE, Quantity.ENERGY_J)},
            components={"encoder": {"time_s": s}},
            quality={},
        )
        for cell, s in seconds.items()
    ]

    rows = tables.delta_rows(entries, "idle", host="h", canonical=True, against=testbed_cells.against(chosen, cells))

    assert list(cells) == ["base", "encoder_skip", "encoder_unload", "all", "@fixed_graph"]
    times = {r[1]: r[7:9] for r in rows if (r[5], r[6]) == ("encoder", "time_s")}
    assert times == {"encoder_skip": (3.0, 3.0), "encoder_skip@fixed_graph": (5.0, 3.0)}
    assert not bench.possible(engine, cells)[1]


def test_every_mechanism_of_what_is_on_is_a_cell_of_its_own(tmp_path: Path) -> None:
    """Of the five layers: micro-batches, which chiplet and pipeline share, and packing; each can be entered and left."""
    engine = tiny.engine("llava", tmp_path)
    chosen = {name: techniques.chosen(ROOT, LAYERS[name]) for name in FIVE}
    able = {name: testbed_cells.with_switch(engine, some, entered=True) for name, some in chosen.items()}
    before = repr(engine.serving)

    cells = testbed_cells.of_mechanisms(chosen, able)

    assert set(cells) == {"mechanism/micro_batches", "mechanism/packing"}
    assert len(cells["mechanism/micro_batches"]) == 2
    for switches in cells.values():
        with bench.entered(engine, switches):
            assert repr(engine.serving) != before
        assert repr(engine.serving) == before
    on = {name: [t for t in some if t.on_testbed and t.name in able[name]] for name, some in chosen.items()}
    assert techniques.sharing(on) == {"micro_batches": ("chiplet", "pipeline"), "packing": ("instruction_set",)}


def test_a_mechanism_of_what_is_off_is_no_cell(tmp_path: Path) -> None:
    """Without the pipeline layer the micro-batches are the chiplet's alone; without both there is none."""
    engine = tiny.engine("llava", tmp_path)
    chosen = {name: techniques.chosen(ROOT, LAYERS[name]) for name in ("chiplet", "storage")}
    able = {name: testbed_cells.with_switch(engine, some, entered=True) for name, some in chosen.items()}

    assert len(testbed_cells.of_mechanisms(chosen, able)["mechanism/micro_batches"]) == 1
    assert testbed_cells.of_mechanisms({"storage": chosen["storage"]}, able) == {}
