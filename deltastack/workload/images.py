"""How many of a request's prompt tokens are visual: production traces give the images, not their tokens.

    image tokens = min(images x tokens an image, max(prompt - least text, images))

A square tile of 448 x 448 pixels is 14 x 14 = 196 tokens of Qwen3-VL, which sees 32 x 32 pixels a token (patches of 16,
merged two by two). Large tile counts leave fewer tokens a tile: the trace's own context is the bound. Evidence: assumed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from deltastack.model import Params

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ImageRule(Params):
    """params/workload.yaml: images."""

    tokens_per_image: int = Field(default=196, ge=1, description="visual tokens of one image or tile, where the context has room")
    least_text_tokens: int = Field(default=16, ge=0, description="prompt tokens that stay text in every request")

    def tokens(self, images: NDArray[np.int64], prompt_tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Visual tokens (R,) among the prompt tokens: at least one an image, none without images."""
        room = np.maximum(prompt_tokens - self.least_text_tokens, images)
        return np.minimum(images * self.tokens_per_image, room)
