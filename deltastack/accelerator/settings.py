"""What a session of the accelerator bench is, and what is switched on in it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from deltastack.model import Params

Count = Annotated[int, Field(ge=1)]


class Arithmetic(StrEnum):
    """How the decoder's four products are computed."""

    DENSE = "bf16"
    FP8_TENSOR = "fp8_tensor"
    """e4m3, one scale a tensor."""
    FP8_ROW = "fp8_row"
    """e4m3, one scale a token and one an output channel."""
    INT8 = "int8"
    """One scale a token and one an output channel, sums in 32 bits."""
    SPARSE_24 = "sparse_24"
    """Two of four weights kept, by size; bf16."""


class Load(Params):
    """One session: half of the requests have an image. Params so that a file can give it."""

    requests: Count = 16
    image_tokens: Count = 1024
    text_tokens: Count = 512
    output_tokens: Count = 128

    @property
    def with_image(self) -> int:
        """Requests that have an image."""
        return self.requests // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """What is on in one cell; the default is the base.

    The base runs the encoder on a blank image for every text request, as a server with one fixed graph does. That is the
    baseline that ``encoder_skip`` is held against, and it is named so.
    """

    arithmetic: Arithmetic = Arithmetic.DENSE
    micro_batches: int = 1
    placed: bool = False
    """Two halves of the decoder, each in a lane of its own."""
    apart: bool = False
    """Attention and feed-forward, each in a lane of its own."""
    restored: bool = False
    """Keys and values of half of the requests come from pinned host memory instead of a prefill."""
    kept_images: bool = False
    """Embeddings of half of the images are kept from before."""
    skip: bool = False
    """Text requests do not run the encoder."""

    @property
    def lanes(self) -> int:
        """How many lanes are used."""
        return (1 + self.placed) * (1 + self.apart)

    @property
    def batches(self) -> int:
        """Micro-batches: lanes have nothing to do beside each other with fewer than two."""
        return max(self.micro_batches, 2 if self.lanes > 1 else 1)
