"""The optimization layers: one module each in this folder, or a package of its own with an entry point ``deltastack.layers``.

Layers are found, not listed: a module here that holds a ``Layer`` adds it. A package brings its values as NAME.yaml beside the
module that its entry point names. Which layers are stacked is said by ``layers`` in
params/stack.yaml (decision 0009).
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from deltastack.errors import LayerError, UnknownNameError
from deltastack.layers.technique import Layer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GROUP = "deltastack.layers"


def discover() -> dict[str, Layer]:
    """Every layer of this folder and of installed packages, by name.

    Raises:
        LayerError: Two layers have one name, or an entry point is no layer.
    """
    return _by_name([*_own(), *_installed()])


def layer(name: str) -> Layer:
    """The layer of that name.

    Raises:
        UnknownNameError: There is none; the message lists what there is.
    """
    if name not in LAYERS:
        raise UnknownNameError(f"no layer '{name}'; there are: {', '.join(LAYERS) or 'none'}")
    return LAYERS[name]


def _own() -> Iterator[tuple[str, Layer]]:
    for found in pkgutil.iter_modules(__path__, f"{__name__}."):
        module = importlib.import_module(found.name)
        yield from ((found.name, one) for one in vars(module).values() if isinstance(one, Layer))


def _installed() -> Iterator[tuple[str, Layer]]:
    for point in entry_points(group=GROUP):
        one = point.load()
        if not isinstance(one, Layer):
            raise LayerError(f"entry point {point.name} = {point.value} is a {type(one).__name__}; wanted a Layer")
        beside = Path(inspect.getfile(importlib.import_module(point.module)))
        yield point.value, replace(one, values=beside.with_name(f"{one.name}.yaml"))


def _by_name(found: Iterable[tuple[str, Layer]]) -> dict[str, Layer]:
    places: dict[str, str] = {}
    layers: dict[str, Layer] = {}
    for place, one in found:
        if one.name in layers:
            raise LayerError(f"two layers are named '{one.name}': in {places[one.name]} and in {place}; rename one")
        places[one.name], layers[one.name] = place, one
    return layers


LAYERS = discover()
