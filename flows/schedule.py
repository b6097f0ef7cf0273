"""Which stages have work to do, and the turns they take: pure, and one gate for threads."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import networkx as nx

if TYPE_CHECKING:
    from collections.abc import Iterator


class Plan(NamedTuple):
    """The stages of one run, upstream first."""

    order: tuple[str, ...]
    upstream: dict[str, tuple[str, ...]]
    work: frozenset[str]
    """Stages that may have to run; the others are known to be up to date."""
    forced: frozenset[str]
    """Stages that run even if nothing changed."""
    exclusive: frozenset[str]
    """Stages beside which nothing else may run: they measure this machine."""


def plan(graph: nx.DiGraph, stale: frozenset[str], *, remeasure: bool = False) -> Plan:
    """Order ``graph``; a stage has work if it, or anything before it, is stale or forced.

    Args:
        graph: Edges downstream; nodes carry ``measured``.
        stale: Stages that differ from what is recorded.
        remeasure: Force the measured stages.

    >>> graph = nx.DiGraph([("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])
    >>> nx.set_node_attributes(graph, {"a": False, "b": False, "c": True, "d": False}, "measured")
    >>> found = plan(graph, frozenset({"b"}))
    >>> found.order, sorted(found.work), sorted(found.exclusive)
    (('a', 'b', 'c', 'd'), ['b', 'd'], ['c'])
    """
    measured = frozenset(n for n, is_measured in graph.nodes(data="measured") if is_measured)
    forced = measured if remeasure else frozenset[str]()
    first = (stale & frozenset(graph)) | forced
    return Plan(
        order=tuple(nx.lexicographical_topological_sort(graph)),
        upstream={n: tuple(graph.predecessors(n)) for n in graph},
        work=first.union(*(nx.descendants(graph, n) for n in first)),
        forced=forced,
        exclusive=measured,
    )


class Gate:
    """Many may pass together, or one alone."""

    def __init__(self) -> None:
        """Start with nobody inside."""
        self._change = threading.Condition()
        self._inside = 0
        self._alone = False
        self._waiting = 0

    @contextmanager
    def turn(self, *, alone: bool) -> Iterator[None]:
        """Wait for the turn; while someone waits to be alone, nobody else enters."""
        with self._change:
            self._waiting += alone
            self._change.wait_for(lambda: self._free(alone=alone))
            self._waiting -= alone
            self._inside += 1
            self._alone = alone
        try:
            yield
        finally:
            with self._change:
                self._inside -= 1
                self._alone = False
                self._change.notify_all()

    def _free(self, *, alone: bool) -> bool:
        return self._inside == 0 if alone else not self._alone and self._waiting == 0
