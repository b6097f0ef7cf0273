"""The techniques as reversible switches on a running engine, and the other baselines they are held against.

``on(technique, engine, p)`` and ``baseline(name, engine)`` give context managers; entering changes what the next sessions
are served with, leaving takes it back, and any set can be on at once. Torch is imported only when a switch is thrown.
``beside`` observes what a session cannot show; ``declared`` says of each switch how exact it is, what it is compared with, and
what of it holds on an accelerator.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from deltastack.errors import UnknownNameError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.model import Params
    from deltastack.testbed.switches.private_copies import Pair
    from deltastack.testbed.vlm.engine import Engine

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
    "early_exit": "early_exit",
    "part_skipping": "part_skipping",
    "logit_student": "distillation",
    "attention_student": "distillation",
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
_BESIDE = {"shared_weights": ("private_copies", "private_copies")}


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


def beside(technique: str, engine: Engine, p: Params, session_s: float) -> dict[str, list[Pair]]:
    """What no session can show of ``technique``: pairs of amounts by the name of the baseline; mostly nothing.

    Args:
        technique: Its name.
        engine: Its stored file is used; nothing is switched.
        p: The technique's testbed values.
        session_s: Length of a session [s], for what is held over time.

    Raises:
        EvidenceError: It could not be read.
    """
    if technique not in _BESIDE:
        return {}
    room, function = _BESIDE[technique]
    return {function: _found(technique, room, function, _BESIDE)(engine, p, session_s)}


def _found(name: str, room: str | None, function: str, known: dict[str, Any]) -> Any:
    if room is None:
        raise UnknownNameError(f"no switch '{name}' on the testbed; there are: {', '.join(known)}")
    return getattr(importlib.import_module(f"{__name__}.{room}"), function)
