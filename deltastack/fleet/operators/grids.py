"""Where operator times are tabulated: dense where kernels change tiles, coarse where they are smooth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Grid = NDArray[np.int64]

DENSE_TOKENS = 2048
"""Up to here every token count is tabulated: tile steps near 128 and 1024 are otherwise smeared (a p99 of 5 %)."""

POWERS = 2 ** np.arange(6, 16)
"""Chunks at which the measurements themselves stand. A bend where chunk + prefix is one of them runs across the grid: that is
why it is fine up to 65,536 (a p99 of 1.7 % on half as many points)."""


def tokens() -> Grid:
    """Token counts of one step, (N,)."""
    return _joined(np.arange(1, DENSE_TOKENS + 1), np.arange(DENSE_TOKENS, 8193, 32), np.arange(8192, 32769, 512))


def sequences() -> Grid:
    """Sequences that emit a token, (M,)."""
    return _joined(np.arange(1, 1025), np.arange(1024, 2049, 64))


def chunks() -> Grid:
    """New prompt tokens of one sequence, (P,)."""
    return _joined(_geometric(1, 64, 14), POWERS, _geometric(64, 1024, 49), _geometric(1024, 32768, 71))


def prefixes() -> Grid:
    """Tokens before the chunk, (Q,)."""
    return _joined(np.array([0]), _geometric(64, 65_536, 61), _geometric(65_536, 262_144, 8))


def batches() -> Grid:
    """Sequences that decode together, (B,)."""
    return _joined(np.arange(1, 17), _geometric(16, 128, 22), _geometric(128, 2048, 26))


def contexts() -> Grid:
    """Tokens of context of each decoding sequence, (K,)."""
    return _joined(_geometric(1, 128, 12), _geometric(128, 8192, 36), _geometric(8192, 262_144, 20))


def image_tokens() -> Grid:
    """Visual tokens of one image after merging, (E,): both sides of every tile of 32 up to 1,024, where times step."""
    tiles = np.arange(32, 1025, 32)
    return _joined(np.arange(1, 17) ** 2, tiles, tiles + 1, _geometric(16, 16_384, 260))


def images() -> Grid:
    """Images encoded together, (I,)."""
    return _joined(np.arange(1, 25), _geometric(24, 529, 26))


def _geometric(low: int, high: int, count: int) -> Grid:
    return np.unique(np.rint(np.geomspace(low, high, count)).astype(np.int64))


def _joined(*parts: Grid) -> Grid:
    return np.unique(np.concatenate(parts)).astype(np.int64)
