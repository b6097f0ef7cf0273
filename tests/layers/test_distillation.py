"""Layer distillation: off by default, one student at a time, absent on the fleet, and what it takes away on the testbed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from deltastack import params
from deltastack.errors import ParamsError
from deltastack.evaluation import testbed_cells
from deltastack.fleet import settings as fleet
from deltastack.layers import layer, techniques
from deltastack.model import Component, Resource
from deltastack.stack import Stack
from deltastack.testbed import bench
from tests.testbed import tiny

if TYPE_CHECKING:
    from deltastack.layers.techniques import ConfiguredTechnique

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
ROOT = Path(__file__).parents[2]
LAYER = layer("distillation")
FILE = "params/layers/distillation.yaml"


def test_it_is_off_by_default_and_has_one_student_on() -> None:
    """The default stack does not name the layer; in the layer's `all` one technique is on, the other waits."""
    stack = params.load(ROOT / "params" / "stack.yaml", Stack)

    assert LAYER.name not in stack.layers
    assert {c.name: c.on_testbed for c in techniques.chosen(ROOT, LAYER)} == {"logit_student": True, "attention_student": False}


def test_the_fleet_has_nothing_to_rewrite() -> None:
    """No operator times of a student were published: the techniques are absent there, and the deployment stays as it is."""
    listed = techniques.chosen(ROOT, LAYER)
    served = fleet.load(ROOT).values.deployment.deployment()

    assert not any(c.on_fleet for c in listed)
    assert techniques.apply_techniques(served, listed) == served


def test_half_of_the_layers_take_half_of_the_decoder(tmp_path: Path) -> None:
    """A student of one of two layers: half of the attention's and feed-forward's memory is held, all of the encoder's."""
    engine = tiny.engine("llava", tmp_path)
    session = tiny.session(engine)
    cells = testbed_cells.of_layer(
        chosen := techniques.chosen(ROOT, LAYER), testbed_cells.with_switch(engine, chosen, entered=True)
    )
    held: dict[str, dict[Component, int]] = {}
    for name, switches in cells.items():
        with bench.entered(engine, switches):
            assert engine.run(session).amounts[Component.FFN][Resource.TIME_S] > 0
        held[name] = dict(engine.residence.resident_byte)

    assert list(cells) == ["base", "logit_student", "attention_student", "all"]
    for name in ("logit_student", "attention_student", "all"):
        share = {c: held[name][c] / held["base"][c] for c in (Component.ATTENTION, Component.FFN, Component.ENCODER)}
        assert share == {Component.ATTENTION: 0.5, Component.FFN: 0.5, Component.ENCODER: 1.0}


def both_on(tmp_path: Path) -> tuple[ConfiguredTechnique, ...]:
    """The layer's techniques in a checkout that has both students on."""
    values: dict[str, Any] = params.read_yaml(ROOT / FILE)
    values["techniques"]["attention_student"]["on_testbed"] = True
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_text(json.dumps(values))
    return techniques.chosen(tmp_path, LAYER)


def test_both_students_on_are_refused_with_the_reason(tmp_path: Path) -> None:
    """Two models cannot answer one request: `all` is left out and says why; each alone stays."""
    engine = tiny.engine("llava", tmp_path)
    chosen = both_on(tmp_path)
    cells = testbed_cells.of_layer(chosen, testbed_cells.with_switch(engine, chosen, entered=True))

    possible, refused = bench.possible(engine, cells)

    assert list(possible) == ["base", "logit_student", "attention_student"]
    assert refused == {"all": "'attention_student' and 'logit_student' both want 'student': they cannot be on together"}


def test_a_word_that_is_no_model_is_refused() -> None:
    """`served` is student or teacher."""
    with pytest.raises(ParamsError, match=r"logit_student.*served"):
        techniques.chosen(ROOT, LAYER, override={"logit_student": {"served": "nurse"}})
