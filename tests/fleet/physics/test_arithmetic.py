"""Sparse multiplication and softmax: by hand, controls, published shares."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import OutOfValidityError
from deltastack.fleet.physics import arithmetic
from deltastack.fleet.physics.arithmetic import Softmax, Sparsity

IDEAL = Sparsity(kept=2, group=4, weight_bits=16, byte_efficiency=1.0, compute_efficiency=1.0)
QWEN3_8B = Softmax(heads=32, layers=36, exponentials_per_s=3.9e12)
FLOPS = 0.7 * 989e12
PARAMETERS = 7.6e9


def prefill_s(tokens: float) -> float:
    """Matrix work of an 8B prefill at 70 % of H100's bf16 peak: linear layers and causal attention."""
    return (2 * PARAMETERS * tokens + 2 * tokens**2 * 128 * 32 * 36) / FLOPS


def test_bytes_by_hand() -> None:
    """2:4 keeps half the values and two bits each: 0.5625 in bf16, 0.625 in 8 bits, 0.75 in 4 bits; dense is 1."""
    ratios = [replace(IDEAL, weight_bits=b).byte_ratio for b in (16, 8, 4)]

    assert ratios == [0.5625, 0.625, 0.75]
    assert replace(IDEAL, kept=4).byte_ratio == 1.0


def test_factor_by_hand() -> None:
    """Ideal 2:4 with its knee at 200: at 100 tokens bytes bind (0.5625), at 400 operations (1 / 2 = 0.5)."""
    assert arithmetic.sparse_time_factor([100, 400], 200.0, IDEAL) == pytest.approx([0.5625, 0.5])


def test_a_poor_kernel_is_slower_at_batch_one() -> None:
    """At half of the byte rate 2:4 is 12.5 % slower at one token: the published report is 12 %."""
    poor = replace(IDEAL, byte_efficiency=0.5)

    assert arithmetic.sparse_time_factor([1], 258.0, poor)[0] == pytest.approx(1.125)


@given(st.lists(st.floats(1, 1e5), min_size=1, max_size=5), st.floats(1, 1e4), st.floats(0.1, 1), st.floats(0.1, 1))
def test_density_one_is_the_dense_kernel_exactly(tokens: list[float], knee: float, by_bytes: float, by_operations: float) -> None:
    """N = M gives a factor of 1 whatever the efficiencies (negative control)."""
    dense = Sparsity(kept=4, group=4, weight_bits=16, byte_efficiency=by_bytes, compute_efficiency=by_operations)

    assert (arithmetic.sparse_time_factor(tokens, knee, dense) == 1.0).all()


@given(st.floats(1, 1e5), st.floats(1, 1e4))
def test_the_ideal_kernel_never_loses_nor_beats_the_density(tokens: float, knee: float) -> None:
    """Between N / M and the ratio of bytes."""
    factor = arithmetic.sparse_time_factor([tokens], knee, IDEAL)[0]

    assert 0.5 - 1e-12 <= factor <= 0.5625 + 1e-12


def test_knee_by_hand() -> None:
    """0.7 of 989 TFLOP/s over 0.8 of 3.35 TB/s in bf16: 258 tokens."""
    assert arithmetic.knee_tokens(0.7 * 989e12, 0.8 * 3.35e12, 16) == pytest.approx(258, abs=1)


@pytest.mark.parametrize(("tokens", "share"), [(1024, 0.007), (4096, 0.024), (32_768, 0.117), (131_072, 0.198)])
def test_exponential_share_of_an_8b_prefill(tokens: int, share: float) -> None:
    """Un-overlapped on H100 at 70 % of its peak: 0.7 % at 1K, 2.4 % at 4K, 11.7 % at 32K, 19.8 % at 128K (0.3 points)."""
    assert QWEN3_8B.share(tokens, prefill_s=prefill_s(tokens), overlap=0.0) == pytest.approx(share, abs=3e-3)


def test_overlapped_exponentials_take_nothing() -> None:
    """With all of them hidden the share is exactly 0; with half hidden it is about half."""
    full, half, none = (QWEN3_8B.share(4096, prefill_s=prefill_s(4096), overlap=o) for o in (0.0, 0.5, 1.0))

    assert none == 0.0
    assert half == pytest.approx(full / 2, rel=0.02)


def test_exponentials_grow_with_the_square() -> None:
    """Twice the prompt takes four times the exponentials."""
    assert QWEN3_8B.seconds(2000) == pytest.approx(4 * QWEN3_8B.seconds(1000))
    assert QWEN3_8B.seconds(1000) == pytest.approx(32 * 36 * 1e6 / 2 / 3.9e12)


def test_refusals() -> None:
    """No weight kept, an efficiency above one, no tokens, an overlap above one."""
    with pytest.raises(OutOfValidityError):
        replace(IDEAL, kept=0)
    with pytest.raises(OutOfValidityError):
        replace(IDEAL, byte_efficiency=1.5)
    with pytest.raises(OutOfValidityError):
        arithmetic.sparse_time_factor(np.array([0.0]), 1.0, IDEAL)
    with pytest.raises(OutOfValidityError):
        arithmetic.knee_tokens(0.0, 1.0, 16)
    with pytest.raises(OutOfValidityError):
        QWEN3_8B.share(1.0, prefill_s=1.0, overlap=1.1)
    with pytest.raises(OutOfValidityError):
        QWEN3_8B.seconds(0.0)
