"""The card of exact work in lines: what each layer, all together and their product change, without an interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deltastack import formatting
from deltastack.experiment.exact_work import of_plain
from deltastack.model import cell_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deltastack.experiment.exact_work import ExactWork

NAMED = 2
"""Figures in the line of a terminal."""
WORDS = {
    "weights_read_byte": "bytes of weights read",
    "kv_read_byte": "bytes of keys and values read",
    "kv_written_byte": "bytes of keys and values written",
    "passes": "passes over the weights",
    "operations": "operations",
    "packed_operations": "operations in packed layers",
    "computed_tokens": "tokens computed",
    "generated_tokens": "tokens generated",
}


def lines(bench: str, told: Mapping[str, Any], layers: Sequence[str]) -> list[str]:
    """One line for a terminal: the first figures that some layer changes; empty without a card.

    >>> amounts = {"base": {"passes": 4}, "pipeline": {"passes": 6}, "storage": {"passes": 2}, "pipeline+storage": {"passes": 3}}
    >>> found = lines("engine", {"cells": amounts}, ("storage", "pipeline"))[0]
    >>> found.startswith("exact work, engine (card "), found.partition("): ")[2]
    (True, 'passes over the weights storage +50.0 %, pipeline -50.0 %, together +25.0 %, product +25.0 %')
    """
    found = of_plain(told)
    if not found.cells:
        return []
    what = "; ".join(_figure(found, n, layers) for n in found.figures[:NAMED]) or "no layer changes it"
    uneven = f"; not the same in every run: {', '.join(found.uneven)}" if found.uneven else ""
    return [f"exact work, {bench} (card {found.digest}, the same in every run): {what}{uneven}"]


def table(told: Mapping[str, Any], layers: Sequence[str]) -> list[list[str]]:
    """The head, then one row a figure that some layer changes: each layer alone, together, product; empty without one."""
    found = of_plain(told)
    rows = [[WORDS[n], *(_percent(x) for x in _changes(found, n, layers).values())] for n in found.figures]
    return [["counted in one session", *(x.replace("_", " ") for x in layers), "together", "product"], *rows] if rows else []


def _figure(found: ExactWork, figure: str, layers: Sequence[str]) -> str:
    told = [f"{name.replace('_', ' ')} {_percent(x)}" for name, x in _changes(found, figure, layers).items() if x]
    return f"{WORDS[figure]} {', '.join(told)}"


def _changes(found: ExactWork, figure: str, layers: Sequence[str]) -> dict[str, float | None]:
    """By layer, then all layers together and their product."""
    alone = {x: found.saved(x, figure) for x in layers}
    joint = {"together": found.saved(cell_name(layers), figure), "product": found.product(layers, figure)}
    return {**alone, **joint}


def _percent(x: float | None) -> str:
    return "-" if x is None else formatting.percent(x)
