"""The nouns: totals never hide a missing reading, evidence is only as strong as its weakest part."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from deltastack.errors import UnknownNameError
from deltastack.layers.technique import Layer
from deltastack.model import (
    BENCHES,
    Bench,
    Component,
    Evidence,
    Params,
    Reading,
    Resource,
    Usage,
    cell_name,
    cell_of,
    weakest,
)
from flows import totals
from tests.fakes import FIVE


class Width(Params):
    """One value."""

    width_s: float


class Halve:
    """A technique that does nothing on either bench."""

    name = "halve"
    params = Width

    def rewrite(self, deployment: object, p: Width) -> object:
        """The same deployment."""
        del p
        return deployment

    def switch(self, engine: object, p: Width) -> AbstractContextManager[None]:
        """Nothing to switch."""
        del engine, p
        return nullcontext()

    def control(self, p: Width) -> Width:
        """The same values."""
        return p


def reading(component: Component, amount: float | None, evidence: Evidence = Evidence.MEASURED) -> Reading:
    """Joules of one component; a missing amount says why."""
    return Reading(component, Resource.ENERGY_J, amount, evidence, None if amount is not None else "no counter")


def test_total_by_hand() -> None:
    """3 J in the encoder and 4 J in the ffn are 7 J; other resources have no total."""
    usage = Usage(readings=(reading(Component.ENCODER, 3.0), reading(Component.FFN, 4.0)))

    assert usage.total(Resource.ENERGY_J) == 7.0
    assert usage.total(Resource.TIME_S) is None
    assert usage.resources() == (Resource.ENERGY_J,)
    assert len(list(usage)) == 2


def test_a_missing_reading_makes_the_total_missing() -> None:
    """A sum with an unread part is not a smaller sum, it is unknown."""
    usage = Usage(readings=(reading(Component.ENCODER, 3.0), reading(Component.FFN, None)))

    assert usage.total(Resource.ENERGY_J) is None


def test_resources_stand_in_the_order_of_the_enum() -> None:
    """The order of readings does not change the order of resources."""
    late = Reading(Component.FFN, Resource.CARBON_G, 1.0, Evidence.ASSUMED)
    early = Reading(Component.FFN, Resource.TIME_S, 1.0, Evidence.MEASURED)

    assert Usage(readings=(late, early)).resources() == (Resource.TIME_S, Resource.CARBON_G)


@pytest.mark.parametrize("amount_and_reason", [(1.0, "no counter"), (None, None)])
def test_a_reason_stands_exactly_where_the_amount_is_missing(amount_and_reason: tuple[float | None, str | None]) -> None:
    """An amount with a reason, or a hole without one, is refused."""
    amount, reason = amount_and_reason
    bad = Reading(Component.FFN, Resource.ENERGY_J, amount, Evidence.MEASURED, reason)

    with pytest.raises(ValueError, match="ffn/energy_j: an amount needs no reason, a missing amount needs one"):
        Usage(readings=(bad,))


def test_one_thing_is_read_once() -> None:
    """Two readings of one component and resource are refused: their sum would count twice."""
    with pytest.raises(ValueError, match="two readings"):
        Usage(readings=(reading(Component.FFN, 1.0), reading(Component.FFN, 2.0)))


@given(st.lists(st.sampled_from(list(Evidence)), min_size=1))
def test_weakest_is_order_free_and_never_stronger_than_a_part(evidence: list[Evidence]) -> None:
    """The class of a total is one of its parts', and no part is weaker."""
    order = ["measured", "simulated", "published", "assumed"]
    found = weakest(evidence)

    assert found in evidence
    assert all(order.index(e) <= order.index(found) for e in evidence)
    assert found == weakest(reversed(evidence))


def test_evidence_of_a_resource() -> None:
    """Measured plus assumed is assumed; a resource nobody read has no evidence."""
    usage = Usage(readings=(reading(Component.FFN, 1.0), reading(Component.HOST, 1.0, Evidence.ASSUMED)))

    assert usage.evidence(Resource.ENERGY_J) is Evidence.ASSUMED
    with pytest.raises(UnknownNameError, match="no reading of io_byte in this usage; it has: energy_j"):
        usage.evidence(Resource.IO_BYTE)


@given(st.sets(st.sampled_from(FIVE)))
def test_cell_names_come_back(cell: set[str]) -> None:
    """A cell's name tells the cell, in whatever order it was written."""
    assert cell_of(cell_name(cell)) == cell
    assert cell_name(sorted(cell, reverse=True)) == cell_name(cell)


def test_a_layer_finds_its_techniques() -> None:
    """A known technique is found; an unknown one is refused with what there is."""
    layer = Layer(name="idle", techniques=(Halve(),))  # type: ignore[arg-type]

    assert layer.technique("halve").params is Width
    with pytest.raises(UnknownNameError, match="no technique 'sleep' in layer 'idle'; it has: halve"):
        layer.technique("sleep")


@pytest.mark.parametrize("values", [{"width_s": float("nan")}, {"width_s": 1.0, "depth": 2}, {}])
def test_params_refuse_what_is_not_finite_or_not_theirs(values: dict[str, float]) -> None:
    """NaN, an unknown key and a missing key are refused."""
    with pytest.raises(ValidationError):
        Width(**values)


def test_nouns_are_frozen() -> None:
    """No noun can be changed after it was made."""
    with pytest.raises(AttributeError):
        Usage(readings=()).readings = ()  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Width(width_s=1.0).width_s = 2.0  # type: ignore[misc]


def test_every_bench_has_its_row() -> None:
    """One row a bench; the name of a total in metrics.json is the bench's, with the operating point where it is no headline."""
    assert set(BENCHES) == set(Bench)
    assert list(totals.BASES) == ["fleet", "testbed", "engine", "accelerator", "fleet_at_trace"]
    assert totals.BASES["fleet_at_trace"] == "fleet, at its trace"
    assert all(b.facts.simulated == (b.facts.sample == "draws") for b in Bench)
