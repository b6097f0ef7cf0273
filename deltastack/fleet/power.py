"""What one accelerator draws: busy by how hard it works, idle by itself.

    busy_w = board_w min(1, busy_base + busy_decode_attention d + busy_compute c)
    idle_w = board_w idle_share                                                      idle_share <= busy_base
    asleep_w = idle_w (1 - saved_share)                                              saved_share in 0..1

with the load (d, c) of ``fleet.load``: the share of busy time in the attention core of decoding, which streams keys and values at
memory bandwidth, and the share of the dense peak that was achieved.

Source: fitted by ``deltastack calibrate`` on the text rows that ML.ENERGY v3 measured on H100 under vLLM; decision 0006 has the
forms that were tried and their errors. Assumes: host gaps inside a busy period draw ``busy_base``, as the measured means contain
them; shares of the board limit carry over to other accelerators, where they are no better known than assumed (``carried``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from deltastack.errors import OutOfValidityError
from deltastack.model import Params

if TYPE_CHECKING:
    from deltastack.fleet.accounting.utilization import Load


READ_ON_W = 700.0
"""Board limit of the accelerators that the shares were read on: H100 SXM for busy power, H200 for idle power."""


def carried(board_w: float) -> bool:
    """Whether shares of the board limit are carried over to a board on which nobody read them.

    >>> carried(700), carried(72)
    (False, True)
    """
    return board_w != READ_ON_W


class PowerModel(Params):
    """params/fleet.yaml, ``power``."""

    busy_base: float = Field(gt=0, le=1, description="of the board limit, busy with next to nothing")
    busy_decode_attention: float = Field(ge=0, description="of the board limit, more if all time went to decode attention")
    busy_compute: float = Field(ge=0, description="of the board limit, more at the dense peak")
    idle_share: float = Field(ge=0, le=1, description="of the board limit, nothing to do, context and weights resident")
    encoder_share: float = Field(gt=0, le=1, description="of the board limit, drawn by an accelerator that only encodes images")
    node_w: float = Field(ge=0, description="of the node around it, an accelerator's share, busy or not")

    @model_validator(mode="after")
    def _idle_draws_less(self) -> PowerModel:
        """Refuse an accelerator that draws more with nothing to do than with next to nothing."""
        if self.idle_share > self.busy_base:
            raise ValueError(
                f"idle_share {self.idle_share:g} lies above busy_base {self.busy_base:g}: idling would cost more than working"
            )
        return self

    def busy_w(self, load: Load, *, board_w: float) -> float:
        """Power [W] of one busy accelerator, at most its board limit.

        >>> from deltastack.fleet.accounting.utilization import Load
        >>> shares = dict(busy_base=0.6, busy_decode_attention=0.4, busy_compute=0.8)
        >>> model = PowerModel(**shares, idle_share=0.11, encoder_share=0.8, node_w=250)
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

    def idle_w(self, *, board_w: float) -> float:
        """Power [W] of one accelerator with nothing to do.

        >>> shares = dict(busy_base=0.6, busy_decode_attention=0.4, busy_compute=0.8, encoder_share=0.8, node_w=250)
        >>> [round(PowerModel(idle_share=0.11, **shares).idle_w(board_w=w), 9) for w in (700, 72)]
        [77.0, 7.92]
        """
        return self.idle_share * board_w

    def asleep_w(self, saved_share: float, *, board_w: float) -> float:
        """Power [W] of one accelerator whose sleep saves a share of its idle power.

        Raises:
            OutOfValidityError: More saved than there is to save, or less than nothing.
        """
        if not 0 <= saved_share <= 1:
            raise OutOfValidityError(
                f"sleep saves a share in 0..1 of what an idle accelerator draws, found {saved_share:g}: there is no more to save "
                f"than {self.idle_w(board_w=board_w):.0f} W"
            )
        return self.idle_w(board_w=board_w) * (1 - saved_share)
