"""The techniques as reversible switches on a running engine, and the other baselines they are held against.

``on(technique, engine, p)`` and ``baseline(name, engine)`` give context managers; entering changes what the next sessions
are served with, leaving takes it back, and any set can be on at once. Torch is imported only when a switch is thrown.
``declared`` says of each how exact it is, what it is compared with, and what of it holds on an accelerator.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from deltastack.errors import UnknownNameError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.model import Params
    from deltastack.testbed.engine import Engine

_ROOMS = {
    "encoder_skip": "idle",
    "encoder_unload": "idle",
    "low_precision": "low_precision",
    "sparse_gemm": "sparse_gemm",
    "softmax_approx": "softmax_approx",
    "layer_placement": "placement",
    "attention_ffn": "placement",
    "block_alignment": "storage",
    "shared_weights": "storage",
    "head_pruning": "pruning",
    "weight_pruning": "pruning",
    "weight_zeroing": "pruning",
}
_BASELINES = {
    "fixed_graph": ("idle", "fixed_graph"),
    "same_path": ("softmax_approx", "same_path"),
    "bfloat16": ("low_precision", "bfloat16"),
    "buffered": ("storage", "buffered"),
    "plain_mapping": ("storage", "plain_mapping"),
    "two_threads": ("placement", "two_threads"),
    "free_lanes": ("placement", "free_lanes"),
}


def on(technique: str, engine: Engine, p: Params) -> AbstractContextManager[None]:
    """The switch of ``technique`` with its testbed values ``p``; at its control values it changes nothing.

    Raises:
        UnknownNameError: It has no switch.
        OutOfValidityError: Not applicable to this engine's host or device; the message says why.
    """
    switched: AbstractContextManager[None] = _found(technique, _ROOMS.get(technique), technique, _ROOMS)(engine, p)
    return switched


def baseline(name: str, engine: Engine) -> AbstractContextManager[None]:
    """Another baseline, as what the engine serves with.

    Raises:
        UnknownNameError: There is none of that name.
    """
    room, function = _BASELINES.get(name, (None, name))
    switched: AbstractContextManager[None] = _found(name, room, function, _BASELINES)(engine)
    return switched


def _found(name: str, room: str | None, function: str, known: dict[str, Any]) -> Any:
    if room is None:
        raise UnknownNameError(f"no switch '{name}' on the testbed; there are: {', '.join(known)}")
    return getattr(importlib.import_module(f"{__name__}.{room}"), function)
