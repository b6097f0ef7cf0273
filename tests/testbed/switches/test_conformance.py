"""What every switch promises, on every family of hosts: its exactness, its control, and nothing left behind."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

import pytest
import torch

from deltastack.errors import OutOfValidityError
from deltastack.layers import LAYERS
from deltastack.layers.measurement import Exactness
from tests.testbed import tiny
from tests.testbed.switches.cases import ON, measurement, switch_control, switch_on

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from deltastack.testbed.vlm.session import Outcome, Served

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def same(first: Outcome, second: Outcome) -> bool:
    """Whether all logits and tokens are equal, bit for bit."""
    return all(
        torch.equal(a.logits, b.logits) and torch.equal(a.tokens, b.tokens)
        for a, b in zip(first.served, second.served, strict=True)
    )


def tokens(served: Sequence[Served]) -> list[list[list[int]]]:
    """The decoded tokens."""
    return [x.tokens.tolist() for x in served]


def test_all_have_their_words() -> None:
    """A technique with a switch says how it is measured, one without says nothing; each has a place on a bench."""
    techniques = [t for layer in LAYERS.values() for t in layer.techniques]

    assert len({t.name for t in techniques}) == len(techniques)
    assert all(t.on_testbed == (t.measurement is not None) for t in techniques)
    assert all(t.on_fleet or t.on_testbed for t in techniques)
    assert all(measurement(name).baseline and measurement(name).carries_over for name in ON)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_exactness_control_and_revert(family: str, tmp_path: Path) -> None:
    """Each switch keeps its exactness class; at its control and after its exit the outputs are the base's, bit for bit."""
    engine = tiny.engine(family, tmp_path, loud=True)
    batches = tiny.session(engine)
    base = engine.run(batches)

    for name in ON:
        with switch_on(name, engine):
            on = engine.run(batches)
        with switch_control(name, engine):
            control = engine.run(batches)
        after = engine.run(batches)

        exactness = measurement(name).exactness
        assert same(base, control), name
        assert same(base, after), name
        if exactness is Exactness.BITWISE:
            assert same(base, on), name
        elif exactness is Exactness.TOKEN:
            assert tokens(base.served) == tokens(on.served), name
            torch.testing.assert_close(base.served[0].logits, on.served[0].logits, atol=1e-4, rtol=1e-4)
        else:
            assert not same(base, on), name


def test_baselines_exist_and_revert(tmp_path: Path) -> None:
    """Every other baseline that is declared can be switched on, and leaves nothing behind."""
    engine = tiny.engine("llava", tmp_path)
    batches = tiny.session(engine)
    base = engine.run(batches)

    for name, other in {n: b for one in ON for n, b in measurement(one).against.items()}.items():
        with other.switch(engine):
            engine.run(batches)
        assert same(base, engine.run(batches)), name


RIVALS = {("block_alignment", "shared_weights"), ("attention_student", "logit_student")}
"""Both say how the file is read, or who is served: one at a time."""


@pytest.mark.parametrize("pair", [p for p in itertools.combinations(sorted(ON), 2) if p not in RIVALS], ids="+".join)
def test_any_two_combine(pair: tuple[str, str], tmp_path: Path) -> None:
    """Two switches give the same outputs in either order of entering, and leave nothing behind."""
    engine = tiny.engine("llava", tmp_path, loud=True)
    batches = tiny.session(engine, new_tokens=2)
    base = engine.run(batches)
    outcomes = []
    for names in (pair, pair[::-1]):
        with contextlib.ExitStack() as stack:
            for name in names:
                stack.enter_context(switch_on(name, engine))
            outcomes.append(engine.run(batches))

    assert same(*outcomes)
    assert same(base, engine.run(batches))


def test_two_layouts_are_refused_together(tmp_path: Path) -> None:
    """A file is read in one way: the second technique that says how is refused by name."""
    engine = tiny.engine("llava", tmp_path)

    with (
        switch_on("block_alignment", engine),
        pytest.raises(OutOfValidityError, match="'shared_weights' and 'block_alignment' both want 'layout'"),
    ):
        switch_on("shared_weights", engine).__enter__()
