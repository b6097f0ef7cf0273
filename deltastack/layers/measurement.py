"""How the testbed measures a technique: how exact it is, what it is held against, and what of it holds on an accelerator."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from deltastack.testbed.sweeps.private_copies import Pair
    from deltastack.testbed.vlm.engine import Engine


class Exactness(StrEnum):
    """What a switch may do to the answers, strictest first."""

    BITWISE = "bitwise"
    """The same logits, bit for bit."""
    TOKEN = "token"  # noqa: S105 - a word of the model's output, not a secret
    """The same tokens; logits may differ by rounding."""
    APPROXIMATE = "approximate"
    """Other numbers: quality is measured beside the saving."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Another baseline that a technique is measured against."""

    words: str
    switch: Callable[[Engine], AbstractContextManager[None]]
    """The engine as that baseline serves; a function of a module, so that it can be pickled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a technique says of its own measurement on the testbed."""

    exactness: Exactness
    baseline: str
    """The fair baseline: the engine with nothing switched, which is what a competent team runs today."""
    carries_over: str
    """What of the finding holds on an accelerator, and what does not."""
    example: Mapping[str, Any] = field(default_factory=dict)
    """Values over those of params/layers with which it does something on a tiny model; the conformance tests run them."""
    rivals: tuple[str, ...] = ()
    """Techniques that change the same thing: one of them at a time."""
    against: Mapping[str, Baseline] = field(default_factory=dict)
    """Other baselines by name."""
    beside: Mapping[str, Callable[[Engine, Any, float], list[Pair]]] = field(default_factory=dict)
    """By baseline, what no session shows: pairs of amounts from the engine, the values and a session's length [s]."""
