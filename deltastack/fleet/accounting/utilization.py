"""How hard a replica's accelerators worked in a run: what their power follows.

    decode_attention = decode_attention_s / busy_s                            reads keys and values, near memory bandwidth
    compute          = (2 W tokens / peak + M encoder_s) / busy_s             share of the dense peak that was achieved

with W the number of weights on one accelerator (embedding and output matrix have 16 bits in every precision), ``tokens`` all
tokens through them, M the share of peak at which a visual encoder runs.
By hand: 1e9 weights, 1e6 tokens in 10 s on 1e15 FLOP/s: 2e15 / 1e15 / 10 = 0.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import UnknownNameError
from deltastack.fleet.effects.weights import by_component, ends_bytes, feed_forward_apart
from deltastack.fleet.operators.roofline import WEIGHT_BYTES
from deltastack.fleet.operators.shapes import BF16_BYTES
from deltastack.model import Component

if TYPE_CHECKING:
    from deltastack.fleet.operators import OperatorTables
    from deltastack.fleet.simulator import Result

ENCODER_COMPUTE = 0.43
"""Share of the bf16 peak of a Qwen3-VL encoder on H100. Source: silicon tables, 640 x 480 to 1080p give 0.40 to 0.47."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Means over the busy time of a run; both 0 where nothing was busy."""

    decode_attention: float
    """Share of busy time in the attention core of decoding."""
    compute: float
    """Share of the dense peak that was achieved."""


def load_of(result: Result, tables: OperatorTables, *, peak_flop_per_s: float, inline: bool = True, beside: float = 0.0) -> Load:
    """The load of a run on its replicas' accelerators, as a mean over those that hold the feed-forward weights beside them.

    Args:
        result: Times of the run.
        tables: Those it ran with; weights and precision are read.
        peak_flop_per_s: Dense peak of one accelerator in that precision.
        inline: Whether images were encoded on the same accelerators.
        beside: Feed-forward accelerators for each of the replicas' own; held for as long, they attend to nothing.

    Raises:
        UnknownNameError: A precision whose weights have no stated size; below 16 bits, or with accelerators beside, a model
            whose shapes nobody wrote down.
    """
    if tables.precision not in WEIGHT_BYTES:
        raise UnknownNameError(f"no weight size for precision '{tables.precision}'; there are: {', '.join(WEIGHT_BYTES)}")
    encoder_s = result.encoder_s if inline else 0.0
    busy_s = result.attention_s + result.ffn_s + result.other_s + result.host_s - result.image_host_s + encoder_s
    if busy_s <= 0:
        return Load(decode_attention=0.0, compute=0.0)
    tokens = float(result.steps_by_tokens @ np.arange(result.steps_by_tokens.size))
    apart = feed_forward_apart(tables) / WEIGHT_BYTES[tables.precision] if beside else 0.0
    linear_s = 2.0 * (_weights(tables) + apart) * tokens / peak_flop_per_s
    all_s = busy_s * (1 + beside)
    return Load(decode_attention=result.decode_attention_s / all_s, compute=(linear_s + ENCODER_COMPUTE * encoder_s) / all_s)


def _weights(tables: OperatorTables) -> float:
    """How many weights of one accelerator a token meets: all of a dense model's, of a mixture its active experts'."""
    each = WEIGHT_BYTES[tables.precision]
    ends = 0.0 if each == BF16_BYTES else ends_bytes(tables)
    asleep = (1 - tables.ffn_active) * by_component(tables)[Component.FFN] / each if tables.ffn_active != 1 else 0.0
    return (tables.weight_bytes - ends) / each + ends / BF16_BYTES - asleep
