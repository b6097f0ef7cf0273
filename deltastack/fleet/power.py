"""What one accelerator draws: busy by how hard it works, idle by itself.

    busy_w = board_w min(1, busy_base + busy_decode_attention d + busy_compute c)

with the load (d, c) of ``fleet.load``: the share of busy time in the attention core of decoding, which streams keys and values at
memory bandwidth, and the share of the dense peak that was achieved.

Source: fitted by ``deltastack calibrate`` on the text rows that ML.ENERGY v3 measured on H100 under vLLM; decision 0006 has the
forms that were tried and their errors. Assumes: host gaps inside a busy period draw ``busy_base``, as the measured means contain
them; shares of the board limit carry over to other accelerators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from deltastack.model import Params

if TYPE_CHECKING:
    from deltastack.fleet.load import Load


class PowerModel(Params):
    """params/fleet.yaml, ``power``."""

    busy_base: float = Field(gt=0, le=1, description="of the board limit, busy with next to nothing")
    busy_decode_attention: float = Field(ge=0, description="of the board limit, more if all time went to decode attention")
    busy_compute: float = Field(ge=0, description="of the board limit, more at the dense peak")
    idle_w: float = Field(ge=0, description="nothing to do, context and weights resident")
    encoder_share: float = Field(gt=0, le=1, description="of the board limit, drawn by an accelerator that only encodes images")
    node_w: float = Field(ge=0, description="of the node around it, an accelerator's share, busy or not")

    def busy_w(self, load: Load, *, board_w: float) -> float:
        """Power [W] of one busy accelerator, at most its board limit.

        >>> from deltastack.fleet.load import Load
        >>> shares = dict(busy_base=0.6, busy_decode_attention=0.4, busy_compute=0.8)
        >>> model = PowerModel(**shares, idle_w=75, encoder_share=0.8, node_w=250)
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
