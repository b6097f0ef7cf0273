"""Layer ``idle`` on the testbed: the encoder is not run where nobody needs it, and sleeps when nobody came.

A text-only request does not need the encoder. Whoever serves with a fixed graph runs it on a blank image all the same
(``fixed_graph``); the libraries of today do not, and against them there is nothing left to save: both are shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.testbed.switches.settings import NEVER_S

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.testbed.switches.settings import EncoderUnload, Nothing
    from deltastack.testbed.vlm.engine import Engine


def encoder_skip(engine: Engine, p: Nothing) -> AbstractContextManager[None]:
    """Text-only requests never touch the encoder."""
    del p
    return engine.override("encode_text", value=False, by="encoder_skip")


def fixed_graph(engine: Engine) -> AbstractContextManager[None]:
    """The other baseline: text-only requests carry a blank image through the encoder, and its result is thrown away."""
    return engine.override("encode_text", value=True, by="fixed_graph")


def encoder_unload(engine: Engine, p: EncoderUnload) -> AbstractContextManager[None]:
    """The encoder's weights are let go of when a gap exceeds the timeout; the next image waits for them."""
    after_s = None if p.timeout_s >= NEVER_S else p.timeout_s
    return engine.override("unload_encoder_after_s", after_s, by="encoder_unload")
