"""What one accelerator draws: busy by how many sequences it serves at once, idle by itself.

    busy_w = min(board_w, single_w + doubling_w log2(max(concurrency, 1)))

Source: fitted on the text rows that ML.ENERGY v3 measured on H100 under vLLM (382 + 28.9 log2 c W, mean error 7 %).
Assumes: host gaps inside a busy period are drawn at the same power, as the measured means contain them.
"""

from __future__ import annotations

import math

from pydantic import Field

from deltastack.model import Params


class PowerModel(Params):
    """params/fleet.yaml, ``power``."""

    single_w: float = Field(gt=0, description="busy with one sequence")
    doubling_w: float = Field(ge=0, description="more for every doubling of the sequences served together")
    idle_w: float = Field(ge=0, description="nothing to do, context and weights resident")
    encoder_share: float = Field(gt=0, le=1, description="of the board limit, drawn by an accelerator that only encodes images")
    node_w: float = Field(ge=0, description="of the node around it, an accelerator's share, busy or not")

    def busy_w(self, *, concurrency: float, board_w: float) -> float:
        """Power [W] of one accelerator that serves ``concurrency`` sequences at once, at most its board limit.

        >>> model = PowerModel(single_w=380, doubling_w=30, idle_w=75, encoder_share=0.9, node_w=150)
        >>> model.busy_w(concurrency=8, board_w=700), model.busy_w(concurrency=8, board_w=400)
        (470.0, 400.0)
        """
        return min(board_w, self.single_w + self.doubling_w * math.log2(max(concurrency, 1.0)))

    def encoder_w(self, *, board_w: float) -> float:
        """Power [W] of one accelerator that encodes images and does nothing else."""
        return self.encoder_share * board_w
