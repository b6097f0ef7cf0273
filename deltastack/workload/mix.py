"""The request mix of a production cluster: the figures a generated workload reproduces.

Source of the default values: Azure LMM inference trace 2025 (collected 2024-10-15 to 22), Azure Public Dataset, CC-BY;
Qiu et al., ModServe, SoCC 2025. Read off published plots, so each quantile carries about 2 % of reading error.
"""

from __future__ import annotations

import itertools
import math
from typing import Annotated

from pydantic import Field, model_validator

from deltastack.model import Params

Share = Annotated[float, Field(ge=0, le=1)]


class Quantiles(Params):
    """Values at probabilities, both increasing."""

    q: tuple[float, ...]
    image: tuple[float, ...]
    text_only: tuple[float, ...]

    @model_validator(mode="after")
    def _increasing(self) -> Quantiles:
        for name, values in (("q", self.q), ("image", self.image), ("text_only", self.text_only)):
            if len(values) != len(self.q) or any(b < a for a, b in itertools.pairwise(values)):
                raise ValueError(f"{name}: as many values as q, none below the one before it")
        if not all(0 < q < 1 for q in self.q):
            raise ValueError("q: probabilities lie between 0 and 1")
        return self


class Tiles(Params):
    """Images of an image request: n x n tiles, with cumulative probabilities."""

    value: tuple[int, ...]
    cumulative: tuple[float, ...]

    @model_validator(mode="after")
    def _squares(self) -> Tiles:
        if len(self.value) != len(self.cumulative) or any(math.isqrt(v) ** 2 != v for v in self.value):
            raise ValueError("value: squares, as many as cumulative")
        if any(b < a for a, b in itertools.pairwise(self.cumulative)) or self.cumulative[-1] > 1:
            raise ValueError("cumulative: increasing, at most 1")
        return self


class Burst(Params):
    """How arrivals swing: text by the hour of the day, images by a log-autoregressive rate a minute."""

    text_day_ratio: float = Field(ge=1, description="busiest over quietest hour of the text-only rate")
    image_log_sd: float = Field(ge=0, description="spread of the logarithm of the image rate a minute")
    image_correlation_min: float = Field(gt=0, description="time over which that rate remembers itself [min]")


class Mix(Params):
    """One production mix."""

    source: str
    text_only_share: Share
    text_only_rate_per_min_by_day: tuple[float, ...] = Field(min_length=1)
    images_per_image_request: Tiles
    context_tokens: Quantiles
    generated_tokens: Quantiles
    burst: Burst
    size_correlation: float = Field(ge=0, lt=1, description="Gaussian-copula correlation of tiles and context")
