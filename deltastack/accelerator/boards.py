"""What data sheets say of boards, and how near the base comes to it: a saving against a slow base is no saving.

Source: NVIDIA data sheets of A100 80 GB, H100, H200 and B200 (dense bf16 peaks; memory bandwidth).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deltastack.accelerator import shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from deltastack.accelerator.settings import Load

MOST_OVER_BOUND, LEAST_OF_PEAK = 1.25, 0.6
"""A fair base: decode within 1.25 of its bytes' time at peak bandwidth, prefill at 60 % of peak or better."""


class Sheet(NamedTuple):
    """Peaks of a board."""

    words: tuple[str, ...]
    """All of them are in its name."""
    bandwidth_byte_s: float
    bf16_flop_s: float


SHEETS = (
    Sheet(("H100", "HBM3"), 3.35e12, 989e12),
    Sheet(("H100", "PCIe"), 2.0e12, 756e12),
    Sheet(("H200",), 4.8e12, 989e12),
    Sheet(("B200",), 8.0e12, 2250e12),
    Sheet(("A100", "80GB", "PCIe"), 1.935e12, 312e12),
    Sheet(("A100", "80GB"), 2.039e12, 312e12),
)


def sheet(name: str) -> Sheet | None:
    """The data sheet of a board by its name; None for one that is not listed."""
    return next((s for s in SHEETS if all(w in name for w in s.words)), None)


def fairness(base: Iterable[Mapping[str, float]], shape: str, load: Load, peak: Sheet) -> dict[str, float]:
    """How good the base is: its decode step over its bytes' time at peak bandwidth, its prefill over the peak of operations.

    A decode step reads every weight of the decoder and the head once, and the keys and values of all requests at mean context. A
    prefill computes two operations a weight and token, and attention's products.

    Args:
        base: Figures of the base's runs, with ``decode_s`` and ``prefill_s``; at least one.
        shape: The model.
        load: The session.
        peak: Of the board, in the base's arithmetic.

    Returns:
        ``decode_over_bound`` (1 is the bound) and ``prefill_share_of_peak``.
    """
    s, runs = shapes.shape(shape), list(base)
    decode_s = min(e["decode_s"] for e in runs) / load.output_tokens
    prefill_s = min(e["prefill_s"] for e in runs)
    counts = (load.with_image, load.requests - load.with_image)
    lengths = (load.image_tokens + load.text_tokens, load.text_tokens)
    context = sum(c * (n + load.output_tokens // 2) for c, n in zip(counts, lengths, strict=True))
    read_byte = 2 * s.read_parameters(load.requests) + s.kv_byte(context)
    tokens = sum(c * n for c, n in zip(counts, lengths, strict=True))
    products = 2.0 * (s.active_parameters - s.vocabulary * s.hidden) * tokens
    attended = sum(c * 2.0 * s.layers * s.heads * s.head_dim * n * n for c, n in zip(counts, lengths, strict=True))
    return {
        "decode_over_bound": decode_s / (read_byte / peak.bandwidth_byte_s),
        "prefill_share_of_peak": (products + attended) / prefill_s / peak.bf16_flop_s,
    }


def words(base: Iterable[Mapping[str, float]], shape: str, load: Load, name: str) -> list[str]:
    """Both figures in words, with the data sheet's numbers; why there are none."""
    peak, runs = sheet(name), list(base)
    if peak is None or not runs:
        return [f"fair base: not known ({'no run of the base' if peak else f'no data sheet of {name} is listed'})"]
    found = fairness(runs, shape, load, peak)
    over, share = found["decode_over_bound"], found["prefill_share_of_peak"]
    decode = f"decode {over:.2f}x its bytes' time at {peak.bandwidth_byte_s / 1e12:.2f} TB/s (fair up to {MOST_OVER_BOUND}x)"
    prefill = f"prefill {share:.0%} of {peak.bf16_flop_s / 1e12:.0f} TFLOP/s (fair from {LEAST_OF_PEAK:.0%})"
    fair = over <= MOST_OVER_BOUND and share >= LEAST_OF_PEAK
    return [f"{'fair' if fair else 'NOT a fair'} base: {decode}; {prefill}; peaks of its data sheet"]
