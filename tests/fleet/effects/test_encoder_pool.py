"""The way from an encoder of its own: by hand, and nothing where the encoder is inline."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deltastack.fleet.deployment import Deployment, Encoder
from deltastack.fleet.effects import encoder_pool
from tests.fakes import fake_trace

SERVED = Deployment(
    model="Qwen/Qwen3-VL-8B-Instruct",
    platform="h100_sxm",
    encoder=Encoder(placement="pool", pool_size=1, transfer_bytes_per_s=4e10, transfer_latency_s=1e-3),
)


def test_embeddings_by_hand() -> None:
    """4096 wide, four times (three deepstack levels), 16 bits: 32,768 bytes a visual token; a text model has none."""
    assert encoder_pool.embedding_bytes("Qwen/Qwen3-VL-8B-Instruct") == 32_768
    assert encoder_pool.embedding_bytes("Qwen/Qwen3-8B") == 0


def test_delay_by_hand() -> None:
    """196 tokens are 6.4 MB: 1 ms and 0.16 ms at 40 GB/s; text, and images whose embeddings are there, wait for nothing."""
    trace = replace(
        fake_trace(3, 1.0),
        images=np.array([1, 0, 2]),
        image_tokens=np.array([196, 0, 392]),
        cached_images=np.array([0, 0, 2]),
        prompt_tokens=np.array([300, 300, 500]),
    )

    assert encoder_pool.requests(trace, SERVED).delay_s == pytest.approx([1e-3 + 196 * 32_768 / 4e10, 0.0, 0.0])


def test_inline_is_the_same_object() -> None:
    """No pool, or a way that takes no time, changes nothing (negative control)."""
    trace = fake_trace(5, 1.0)
    free = replace(SERVED, encoder=replace(SERVED.encoder, transfer_bytes_per_s=0.0, transfer_latency_s=0.0))

    assert encoder_pool.requests(trace, replace(SERVED, encoder=Encoder())) is trace
    assert encoder_pool.requests(trace, free) is trace
