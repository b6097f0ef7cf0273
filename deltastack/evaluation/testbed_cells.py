"""Layers as cells of the testbed: which switches are on in each.

In one layer's experiment: ``base``, every technique that has a switch, ``all`` (those that params switch on), and the other
baselines that a technique is held against, as ``@NAME``. In the factorial: every set of layers, each with its ``all``.
"""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

from deltastack import statistics
from deltastack.errors import OutOfValidityError
from deltastack.model import MECHANISM, cell_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from deltastack.layers.measurement import Baseline
    from deltastack.layers.technique import Mechanism, Technique
    from deltastack.layers.techniques import ConfiguredTechnique
    from deltastack.model import Params
    from deltastack.testbed.bench import Cells, Switch
    from deltastack.testbed.sweeps.private_copies import Pair
    from deltastack.testbed.vlm.engine import Engine

ALL = "all"
OTHER = "@"
"""Begins the name of another baseline's cell."""


def switched(engine: Engine, technique: Technique[Any], params: Params) -> AbstractContextManager[None] | None:
    """The technique's switch on ``engine``."""
    return technique.switch(engine, params)


def switch(one: ConfiguredTechnique) -> Switch:
    """A technique with its values as a picklable switch."""
    return partial(switched, technique=one.technique, params=one.params)


def of_layer(chosen: Sequence[ConfiguredTechnique], with_switch: frozenset[str]) -> Cells:
    """Cells of one layer's experiment; ``with_switch`` are the techniques that have a meaning on the testbed."""
    here = [one for one in chosen if one.name in with_switch]
    cells: dict[str, tuple[Switch, ...]] = {"base": ()} | {one.name: (switch(one),) for one in here}
    together = tuple(switch(one) for one in here if one.on_testbed)
    others = {OTHER + name: (other.switch,) for one in here for name, other in _against(one).items()}
    return cells | ({ALL: together} if together else {}) | others


def against(chosen: Sequence[ConfiguredTechnique], cells: Cells) -> dict[str, tuple[str, str]]:
    """``TECHNIQUE@BASELINE`` to the cells of baseline and technique, for every technique and other baseline in ``cells``."""
    pairs = [(one.name, other) for one in chosen if one.name in cells for other in _against(one)]
    return {f"{name}{OTHER}{other}": (OTHER + other, name) for name, other in pairs}


def beside(chosen: Sequence[ConfiguredTechnique], engine: Engine, session_s: float) -> dict[str, list[Pair]]:
    """By ``TECHNIQUE@BASELINE``, what the sessions cannot show; mostly nothing.

    Args:
        chosen: The techniques with their values.
        engine: Its stored file is used; nothing is switched.
        session_s: Length of a session [s], for what is held over time.

    Raises:
        EvidenceError: It could not be read.
    """
    asked = [(one, name, read) for one in chosen if (m := one.technique.measurement) for name, read in m.beside.items()]
    return {f"{one.name}{OTHER}{name}": read(engine, one.params, session_s) for one, name, read in asked}


def _against(one: ConfiguredTechnique) -> Mapping[str, Baseline]:
    return one.technique.measurement.against if one.technique.measurement else {}


def of_stack(
    chosen: Mapping[str, Sequence[ConfiguredTechnique]], with_switch: Mapping[str, frozenset[str]], which: str = "all"
) -> Cells:
    """Cells of the factorial: every set of the layers of ``chosen`` that have something to switch on here.

    With ``which`` = ``half``, the sets that ``statistics.planned`` chooses.
    """
    on = {
        name: tuple(switch(one) for one in techniques if one.on_testbed and one.name in with_switch[name])
        for name, techniques in chosen.items()
    }
    layers = [name for name, switches in on.items() if switches]
    planned = {frozenset(x for i, x in enumerate(layers) if m >> i & 1) for m in statistics.planned(layers, which)}
    sets = [s for size in range(len(layers) + 1) for s in combinations(layers, size) if frozenset(s) in planned]
    return {cell_name(s): tuple(x for name in s for x in on[name]) for s in sets}


def of_mechanisms(chosen: Mapping[str, Sequence[ConfiguredTechnique]], with_switch: Mapping[str, frozenset[str]]) -> Cells:
    """A cell for every mechanism of a technique that is on: it alone, every layer off; of several techniques, of all at once."""
    found: dict[str, tuple[Switch, ...]] = {}
    for name, techniques in chosen.items():
        for one in (x for x in techniques if x.on_testbed and x.name in with_switch[name]):
            for m in one.technique.mechanisms:
                alone = partial(mechanism_alone, mechanism=m, params=one.params)
                found[f"{MECHANISM}{m.name}"] = (*found.get(f"{MECHANISM}{m.name}", ()), alone)
    return found


def mechanism_alone(engine: Engine, mechanism: Mechanism, params: Params) -> AbstractContextManager[None]:
    """A mechanism's own switch on ``engine``."""
    return mechanism.switch(engine, params)


def with_switch(engine: Engine, chosen: Sequence[ConfiguredTechnique], *, entered: bool) -> frozenset[str]:
    """Techniques whose switch is not None on ``engine``; with ``entered``, only those that can also be entered."""
    return frozenset(one.name for one in chosen if _has_switch(engine, one, entered=entered))


def _has_switch(engine: Engine, one: ConfiguredTechnique, *, entered: bool) -> bool:
    try:
        on = one.technique.switch(engine, one.params)
        if on is not None and entered:
            with on:
                return True
    except OutOfValidityError:
        return not entered
    return on is not None
