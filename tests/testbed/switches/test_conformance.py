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

    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Batch
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


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, tuple[Batch, ...], Outcome]:
    """An engine of each family, a session and what it answers with nothing on."""
    engine = tiny.engine(request.param, tmp_path_factory.mktemp("engine"), loud=True)
    batches = tiny.session(engine)
    return engine, batches, engine.run(batches)


@pytest.mark.parametrize("name", ON)
def test_exactness_control_and_revert(name: str, served: tuple[Engine, tuple[Batch, ...], Outcome]) -> None:
    """Each switch keeps its exactness class; at its control and after its exit the outputs are the base's, bit for bit."""
    engine, batches, base = served
    with switch_on(name, engine):
        on = engine.run(batches)
    with switch_control(name, engine):
        control = engine.run(batches)
    after = engine.run(batches)

    exactness = measurement(name).exactness
    assert same(base, control)
    assert same(base, after)
    if exactness is Exactness.BITWISE:
        assert same(base, on)
    elif exactness is Exactness.TOKEN:
        assert tokens(base.served) == tokens(on.served)
        torch.testing.assert_close(base.served[0].logits, on.served[0].logits, atol=1e-4, rtol=1e-4)
    else:
        assert not same(base, on)


def test_baselines_exist_and_revert(tmp_path: Path) -> None:
    """Every other baseline that is declared can be switched on, and leaves nothing behind."""
    engine = tiny.engine("llava", tmp_path)
    batches = tiny.session(engine)
    base = engine.run(batches)

    for name, other in {n: b for one in ON for n, b in measurement(one).against.items()}.items():
        with other.switch(engine):
            engine.run(batches)
        assert same(base, engine.run(batches)), name


def rivals(one: str, other: str) -> bool:
    """Whether either says that they do not go together."""
    return other in measurement(one).rivals or one in measurement(other).rivals


@pytest.mark.parametrize("pair", [p for p in itertools.combinations(sorted(ON), 2) if not rivals(*p)], ids="+".join)
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


@pytest.mark.parametrize("pair", [p for p in itertools.combinations(sorted(ON), 2) if rivals(*p)], ids="+".join)
def test_rivals_are_refused_together(pair: tuple[str, str], tmp_path: Path) -> None:
    """The second of two techniques that change the same thing is refused, and both are named."""
    engine = tiny.engine("llava", tmp_path)

    with switch_on(pair[0], engine), pytest.raises(OutOfValidityError, match=f"'{pair[1]}' and '{pair[0]}' both want"):
        switch_on(pair[1], engine).__enter__()


MECHANISMS = [(name, m.name) for name, one in ON.items() for m in one.technique.mechanisms]


@pytest.mark.parametrize(("name", "mechanism"), MECHANISMS)
def test_a_mechanism_alone_changes_no_token(name: str, mechanism: str, served: tuple[Engine, tuple[Batch, ...], Outcome]) -> None:
    """Alone it does the work and answers the same; at its technique's control it does nothing; after it all is as before."""
    engine, batches, base = served
    one = next(m for m in ON[name].technique.mechanisms if m.name == mechanism)
    with one.switch(engine, ON[name].params):
        on = engine.run(batches)
    with one.switch(engine, ON[name].control().params):
        control = engine.run(batches)

    assert tokens(base.served) == tokens(on.served)
    assert same(base, control)
    assert same(base, engine.run(batches))
