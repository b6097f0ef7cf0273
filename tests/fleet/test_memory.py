"""What lies in an accelerator's memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deltastack.errors import CapacityError
from deltastack.fleet import accelerator, memory, settings
from tests.fakes import fake_tables

ROOT = Path(__file__).parents[2]
H100 = accelerator.load(ROOT, "h100_sxm")
SETTINGS = settings.load(ROOT)
DEPLOYMENT = SETTINGS.values.deployment.deployment()


def test_by_hand() -> None:
    """80 GiB x 0.92 less 16 GB of weights, 1.2 + 1 GB of encoder and 131 x 8192 x 4096 B of workspace leaves 56.4 GB."""
    found = memory.residents(fake_tables(), H100, DEPLOYMENT, SETTINGS.values.memory)

    assert found.kv == pytest.approx(85899345920 * 0.92 - 16e9 - 1.2e9 - 1e9 - 131 * 8192 * 4096, rel=1e-12)
    assert sum(found) == pytest.approx(H100.memory_bytes, rel=1e-12)


def test_an_encoder_elsewhere_leaves_room() -> None:
    """With the encoder on accelerators of its own, its weights and activations are room for keys and values."""
    pooled = replace(DEPLOYMENT, encoder=replace(DEPLOYMENT.encoder, placement="pool", pool_size=1))
    here, there = (memory.residents(fake_tables(), H100, d, SETTINGS.values.memory) for d in (DEPLOYMENT, pooled))

    assert there.encoder == 0
    assert there.kv - here.kv == pytest.approx(2.2e9, rel=1e-12)


def test_a_model_that_does_not_fit() -> None:
    """The message says what it needs, what there is, and what would fit."""
    large = replace(fake_tables(), weight_bytes=140e9)
    with pytest.raises(
        CapacityError, match=r"does not fit on h100_sxm x 1: it needs more than 146\.6 GB.*there are 79\.0; more tensor"
    ):
        memory.residents(large, H100, DEPLOYMENT, SETTINGS.values.memory)
