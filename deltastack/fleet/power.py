"""What one accelerator draws: busy by how hard it works, idle by the state that it is left in.

    busy_w               = board_w min(1, busy_base + busy_decode_attention d + busy_compute c)
    idle_w(no_process)   = board_w no_process_share                          nobody has a context on it; clocks are down
    idle_w(context)      = board_w (no_process_share + context_share)        at most board_w busy_base

with the load (d, c) of ``fleet.load``: the share of busy time in the attention core of decoding, which streams keys and values at
memory bandwidth, and the share of the dense peak that was achieved.

A context keeps the clocks up, whatever its memory holds. Measured by this project on one H100 (2026-11-26): 72.7 W without a
process, 121.6 W with a context, 121.8 W with 16.4 GB held in it, 123.0 W after weights were given back, 123.0 to 123.6 W in the
15 s after work; 4 s after the process ended 89.7 W, then 73. So giving back weights saves 0 W, ending the process 49 W.

Source: busy power fitted by ``deltastack calibrate`` on the text rows that ML.ENERGY v3 measured on H100 under vLLM; decision
0006 has the forms that were tried and their errors. Assumes: host gaps inside a busy period draw ``busy_base``, as the measured
means contain them; shares of the board limit carry over to other accelerators, where they are no better known than assumed
(``carried``); idle power elsewhere has ranges of its own (``idle_elsewhere``).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from deltastack.errors import ParamsError
from deltastack.model import Params

if TYPE_CHECKING:
    from deltastack.fleet.accelerator import Platform
    from deltastack.fleet.accounting.utilization import Load


READ_ON_W = 700.0
"""Board limit of the accelerators that busy power was read on: H100 SXM."""


def carried(board_w: float) -> bool:
    """Whether shares of the board limit are carried over to a board on which nobody read them.

    >>> carried(700), carried(72)
    (False, True)
    """
    return board_w != READ_ON_W


class State(StrEnum):
    """What an accelerator with nothing to do is left in."""

    CONTEXT = "context"
    """A process has a context on it, with or without weights in its memory."""
    NO_PROCESS = "no_process"
    """No process has one."""


class IdlePower(Params):
    """Power of an accelerator with nothing to do, as shares of its board limit."""

    no_process_share: float = Field(gt=0, le=1, description="nobody has a context on it")
    context_share: float = Field(ge=0, le=1, description="more, with a context")

    def share(self, state: State) -> float:
        """Of the board limit."""
        return self.no_process_share + (self.context_share if state is State.CONTEXT else 0.0)


class PowerModel(Params):
    """params/fleet.yaml, ``power``."""

    busy_base: float = Field(gt=0, le=1, description="of the board limit, busy with next to nothing")
    busy_decode_attention: float = Field(ge=0, description="of the board limit, more if all time went to decode attention")
    busy_compute: float = Field(ge=0, description="of the board limit, more at the dense peak")
    idle_measured_on: str = Field(min_length=1, description="platform of ``idle``")
    idle: IdlePower
    idle_elsewhere: IdlePower
    encoder_share: float = Field(gt=0, le=1, description="of the board limit, drawn by an accelerator that only encodes images")
    node_w: float = Field(ge=0, description="of the node around it, an accelerator's share, busy or not")

    @model_validator(mode="after")
    def _idle_draws_less(self) -> PowerModel:
        """Refuse an accelerator that draws more with nothing to do than with next to nothing."""
        for name in ("idle", "idle_elsewhere"):
            share = getattr(self, name).share(State.CONTEXT)
            if share > self.busy_base:
                raise ValueError(
                    f"{name}: no_process_share + context_share = {share:g} lies above busy_base {self.busy_base:g}: idling would "
                    f"cost more than working"
                )
        return self

    def busy_w(self, load: Load, *, board_w: float) -> float:
        """Power [W] of one busy accelerator, at most its board limit.

        >>> from deltastack.fleet.accounting.utilization import Load
        >>> shares = dict(busy_base=0.6, busy_decode_attention=0.4, busy_compute=0.8, encoder_share=0.8, node_w=250)
        >>> rest = IdlePower(no_process_share=0.1, context_share=0.07)
        >>> model = PowerModel(**shares, idle_measured_on="h100_sxm", idle=rest, idle_elsewhere=rest)
        >>> round(model.busy_w(Load(decode_attention=0.25, compute=0.125), board_w=700), 6)
        560.0
        >>> model.busy_w(Load(decode_attention=0.25, compute=0.9), board_w=350)
        350.0
        """
        asked = self.busy_base + self.busy_decode_attention * load.decode_attention + self.busy_compute * load.compute
        return board_w * min(1.0, asked)

    def encoder_w(self, *, board_w: float) -> float:
        """Power [W] of one accelerator that encodes images and does nothing else."""
        return self.encoder_share * board_w

    def idle_w(self, platform: Platform, state: str = State.CONTEXT) -> float:
        """Power [W] of one accelerator with nothing to do, in ``state``.

        Raises:
            ParamsError: A state that nobody knows.
        """
        if state not in set(State):
            raise ParamsError(f"no state '{state}' of an idle accelerator; there are: {', '.join(State)}")
        return self._of(platform).share(State(state)) * platform.board_w

    def idle_knows(self, platform: Platform) -> tuple[str, ...]:
        """The ranged parameters that ``idle_w`` rests on there."""
        group = "idle" if self._of(platform) is self.idle else "idle_elsewhere"
        return (f"power.{group}.no_process_share", f"power.{group}.context_share")

    def _of(self, platform: Platform) -> IdlePower:
        return self.idle if platform.name == self.idle_measured_on else self.idle_elsewhere
