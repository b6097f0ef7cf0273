"""Values of the switches: what of a technique's parameters concerns this machine. Importable without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deltastack.model import Params

NEVER_S = 1e12
"""A timeout that no gap exceeds: the encoder never sleeps."""


class Nothing(Params):
    """A technique without values."""


class EncoderUnload(Params):
    """Sleep when an idle gap exceeds ``timeout_s``."""

    timeout_s: float = Field(ge=0)


class LowPrecision(Params):
    """``as_served`` changes nothing; ``bfloat16`` stores and computes everything so; ``int8`` linear layers by dynamic range."""

    number: Literal["as_served", "bfloat16", "int8"]


class SparseGemm(Params):
    """Share of 16 x 1 weight blocks kept in the feed-forward layers, by magnitude; 1 changes nothing."""

    density: float = Field(gt=0, le=1)


class SoftmaxApprox(Params):
    """Degree of the polynomial in place of exp2; None changes nothing."""

    degree: Literal[2, 3, 4] | None


class Lanes(Params):
    """Units (lanes) and micro-batches; one micro-batch or one lane changes nothing."""

    lanes: int = Field(ge=1, le=8)
    micro_batches: int = Field(ge=1, le=8)


class BlockAlignment(Params):
    """Tensors begin at multiples of ``alignment_byte`` and are read in pieces of ``read_byte``; None changes nothing."""

    alignment_byte: Literal[4096, 2097152] | None
    read_byte: int = Field(default=8 << 20, ge=4096, multiple_of=4096)


class Distillation(Params):
    """Who answers: the ``student``, or the ``teacher``, which changes nothing."""

    served: Literal["teacher", "student"]


class SharedWeights(Params):
    """How many worker processes hold the weights; one shares with nobody."""

    workers: int = Field(ge=1, le=8)


class Pruning(Params):
    """Share of the units that stay, in every decoder layer, by importance; 1 changes nothing.

    With ``retrained`` the trained model is served with what was left of its part trained again; any other model, a student too,
    has no such weights and is cut as it is: the shapes are the same.
    """

    kept: float = Field(gt=0, le=1)
    retrained: bool = False


class Zeroing(Params):
    """Weights smaller than ``below`` standard deviations of their matrix are zero; 0 changes nothing."""

    below: float = Field(ge=0)


class EarlyExit(Params):
    """A decoded token leaves after the share ``after`` of the layers if its best next token has a probability of ``confidence``.

    A model of random weights is sure of nothing: there a share ``exits`` of the tokens leaves, drawn by seed. 1 for ``after``
    changes nothing.
    """

    after: float = Field(gt=0, le=1)
    confidence: float = Field(ge=0, le=1)
    exits: float = Field(ge=0, le=1)


class PartSkipping(Params):
    """Requests of ``kind`` skip the share ``skipped`` of the decoder's layers, in its middle; 0 changes nothing."""

    kind: Literal["text", "image"]
    skipped: float = Field(ge=0, lt=1)
