"""Shapes: counted against the measured engine's own byte counts, by hand, refusals."""

from __future__ import annotations

import math

import pytest

from deltastack.errors import UnknownNameError
from deltastack.fleet.operators import catalogue, shapes

MODELS = sorted({k.model for k in catalogue.known()})


def test_by_hand() -> None:
    """Qwen3-8B: 36 layers of 11 tensors and 3 at the ends are 399 tensors; the largest is 151,936 x 4096 in bf16."""
    sizes = shapes.tensor_bytes("Qwen/Qwen3-8B")

    assert len(sizes) == 36 * 11 + 3
    assert max(sizes) == 151_936 * 4096 * 2
    assert min(sizes) == 128 * 2


@pytest.mark.parametrize("model", MODELS)
def test_the_tensors_are_the_bytes_that_the_operators_read(model: str) -> None:
    """Decoder within 0.1 % of the operator tables' weight bytes (a tied head counts once), encoder within 2 %."""
    key = next(k for k in catalogue.known() if k.model == model and k.precision == "bf16")
    tables, s = catalogue.load_tables(*key), shapes.shapes(model)
    sizes = {name: 2 * math.prod(x) for name, x in shapes.decoder(s).items()}
    experts = sum(size for name, size in sizes.items() if "mlp.experts" in name)
    decoder = sum(sizes.values()) - experts + experts / tables.expert_parallel
    tied = 2 * s.vocabulary * s.hidden_size if s.tied_embeddings else 0

    assert decoder + tied == pytest.approx(tables.weight_bytes * key.tensor_parallel, rel=1e-3)
    assert 2 * sum(math.prod(x) for x in shapes.encoder(s).values()) == pytest.approx(tables.encoder_weight_bytes, rel=0.02)
    assert 4 * s.layers * s.kv_heads * s.head_dim == tables.kv_bytes_per_token * key.tensor_parallel


def test_an_unknown_model_is_refused() -> None:
    """The message lists what there is."""
    with pytest.raises(UnknownNameError, match="Qwen/Qwen3-VL-8B-Instruct"):
        shapes.shapes("none")
