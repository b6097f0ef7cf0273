"""Which stages have work, and the gate for measured ones."""

from __future__ import annotations

import threading

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from flows import schedule


def diamond() -> nx.DiGraph:
    """A feeds b and c (measured), both feed d."""
    graph = nx.DiGraph([("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])
    nx.set_node_attributes(graph, {n: n == "c" for n in "abcd"}, "measured")
    return graph


def test_what_follows_a_stale_stage_has_work() -> None:
    """Stale b: b and d work, a and c do not. Stale stages outside the graph do not count."""
    found = schedule.plan(diamond(), frozenset({"b", "elsewhere"}))

    assert found.work == {"b", "d"}
    assert found.order == ("a", "b", "c", "d")
    assert set(found.upstream["d"]) == {"b", "c"}


def test_measuring_again_forces_the_measured_stages() -> None:
    """Nothing stale, remeasure: c is forced, c and d have work."""
    found = schedule.plan(diamond(), frozenset(), remeasure=True)

    assert (found.forced, found.work, found.exclusive) == ({"c"}, {"c", "d"}, {"c"})


@given(st.sets(st.sampled_from("abcd")), st.booleans())
def test_work_is_closed_downstream(stale: set[str], remeasure: bool) -> None:  # noqa: FBT001 - hypothesis passes it
    """Whatever has work, so has everything after it; nothing else has, but what is stale or forced."""
    graph = diamond()
    found = schedule.plan(graph, frozenset(stale), remeasure=remeasure)

    assert all(set(nx.descendants(graph, n)) <= found.work for n in found.work)
    roots = {n for n in found.work if not set(graph.predecessors(n)) & found.work}
    assert roots <= stale | found.forced


def test_alone_means_alone() -> None:
    """While others are inside, the one who wants to be alone waits, and later ones wait behind it."""
    gate, order = schedule.Gate(), list[str]()
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with gate.turn(alone=False):
            inside.set()
            leave.wait(30)
            order.append("first")

    def measure() -> None:
        with gate.turn(alone=True):
            order.append("alone")
            assert gate._inside == 1

    one, two = threading.Thread(target=first), threading.Thread(target=measure)
    one.start()
    inside.wait(30)
    two.start()
    with gate._change:
        gate._change.wait_for(lambda: gate._waiting == 1, 0.2)
    leave.set()
    with gate.turn(alone=False):
        order.append("later")
    one.join(30)
    two.join(30)

    assert order[0] == "first"
    assert set(order) == {"first", "alone", "later"}
