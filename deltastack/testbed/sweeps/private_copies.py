"""What several workers of one machine hold: one mapping for all of them, against a copy each.

Sessions have one worker and cannot show it, so that this is observed beside them: bare worker processes hold the engine's
stored file, in turns (private, shared, shared, private), and the system says what they hold together (``sweeps.workers``).

    memory [byte s] = sum of proportional set sizes [byte] x length of a session [s]

The interpreters of the workers, some megabytes each, are in both amounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.model import Component, Resource
from deltastack.testbed.sweeps.workers import Held, hold

if TYPE_CHECKING:
    from deltastack.testbed.switches.settings import SharedWeights
    from deltastack.testbed.vlm.engine import Engine

Pair = tuple[dict[tuple[Component, Resource], float], dict[tuple[Component, Resource], float]]
ROUNDS = 3
"""Of four turns each: six pairs."""


def private_copies(engine: Engine, p: SharedWeights, session_s: float) -> list[Pair]:
    """Amounts of private and of shared workers, pair by pair; none where one worker shares with nobody.

    Raises:
        EvidenceError: A worker ended before it held the file, or the system does not say what it holds.
    """
    if p.workers == 1:
        return []
    path, found = engine.stored(), []
    for _ in range(ROUNDS):
        turns = [hold(path, way, p.workers) for way in ("private", "shared", "shared", "private")]
        found += [(_amounts(turns[0], session_s), _amounts(turns[1], session_s))]
        found += [(_amounts(turns[3], session_s), _amounts(turns[2], session_s))]
    return found


def _amounts(held: Held, session_s: float) -> dict[tuple[Component, Resource], float]:
    return {
        (Component.STORAGE, Resource.MEMORY_BYTE_S): held.pss_byte * session_s,
        (Component.STORAGE, Resource.IO_BYTE): float(held.read_byte),
    }
