"""What a session of the accelerator bench is, and what is switched on in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    SPARSE_FP8 = "sparse_24_fp8"
    """Two of four weights kept, e4m3, one scale a tensor."""


class Attention(StrEnum):
    """How a decode step attends."""

    FUSED = "fused"
    """The library's own kernel."""
    COMPILED = "compiled"
    """The same equations, fused by torch.compile: the control of the two variants."""
    NO_MAXIMUM = "no_maximum"
    """Compiled, softmax without its maximum: normed queries and keys bound every score by sqrt(head_dim)."""


class Beside(StrEnum):
    """What runs beside the decode steps, in a lane of its own."""

    NOTHING = "nothing"
    ENCODER = "encoder"
    """Images of the next session."""
    PREFILL = "prefill"
    """Prompts of the next session, into keys and values of their own."""


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
    attention: Attention = Attention.FUSED
    kv8: bool = False
    """Keys and values are kept in e4m3; needs compiled attention."""
    micro_batches: int = 1
    placed: bool = False
    """Two halves of the decoder, each in a lane of its own."""
    apart: bool = False
    """Attention and feed-forward, each in a lane of its own."""
    whole: bool = False
    """Lanes get whole batches: a control, since nothing can then run beside anything."""
    beside: Beside = Beside.NOTHING
    partitioned: bool = False
    """Lanes are partitions of the SMs instead of plain streams."""
    restored: bool = False
    """Keys and values of half of the requests come from pinned host memory instead of a prefill."""
    from_file: bool = False
    """The restored keys and values come from a file whose pages were dropped."""
    kept_images: bool = False
    """Embeddings of half of the images are kept from before."""
    skip: bool = False
    """Text requests do not run the encoder."""
    given_back: bool = False
    """The encoder's weights leave the device after their use, and come back from pinned memory with the next session."""

    @property
    def lanes(self) -> int:
        """How many lanes the decoder uses."""
        return (1 + self.placed) * (1 + self.apart)

    @property
    def batches(self) -> int:
        """Micro-batches: lanes have nothing to do beside each other with fewer than two."""
        return max(self.micro_batches, 2 if self.lanes > 1 and not self.whole else 1)

    @property
    def model(self) -> Switched:
        """What changes the decoder's own work; the session around it left as in the base."""
        return replace(self, restored=False, from_file=False, kept_images=False, skip=False, given_back=False)
