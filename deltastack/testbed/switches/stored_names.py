"""Names of what switches store in the place of a weight: its path, then one of these."""

from __future__ import annotations

CODES, SCALES = ".codes", ".scales"
"""Of eight-bit weights."""
BLOCK = 16
"""Outputs of one block of a sparse weight."""
VALUES, INPUTS, STARTS = ".values", ".inputs", ".starts"
"""Of sparse weights."""
