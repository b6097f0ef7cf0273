"""The arithmetic of the switches: codes, blocks, polynomial exponentials, and the attention function's masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AttentionInterface, AttentionMaskInterface

from deltastack.errors import OutOfValidityError
from deltastack.testbed.switches import attention, low_precision, sparse_gemm
from deltastack.testbed.switches.exponential import coefficients, softmax
from deltastack.testbed.switches.int8_linear import Int8Linear
from deltastack.testbed.switches.sparse_linear import MANY_ROWS, SparseLinear
from deltastack.testbed.vlm.device import Cuda
from tests.testbed import tiny
from tests.testbed.switches.cases import switch_on

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_codes_by_hand() -> None:
    """Row 1: 2 and -1 with scale 2/127 are 127 and -64 (63.5 to even); a row of zeros stays zero."""
    codes, scales = low_precision.quantized(torch.tensor([[2.0, -1.0], [0.0, 0.0]]))

    assert codes.tolist() == [[127, -64], [0, 0]]
    assert scales.tolist() == pytest.approx([2 / 127, 1.0])


@given(st.integers(0, 10_000), st.integers(1, 20), st.integers(1, 20))
@settings(max_examples=30, deadline=None)
def test_codes_are_within_half_a_step(seed: int, n: int, k: int) -> None:
    """No weight is moved by more than half a step of its channel."""
    weight = torch.randn(n, k, generator=torch.Generator().manual_seed(seed))
    codes, scales = low_precision.quantized(weight)

    assert ((codes * scales[:, None] - weight).abs() <= scales[:, None] * 0.5001).all()


def test_int8_linear_is_near_the_dense_layer_and_restores() -> None:
    """Output error is a few hundredths of its size; after release and restore the output is the same, bit for bit."""
    torch.manual_seed(3)
    dense = torch.nn.Linear(64, 32)
    stored = low_precision.to_int8({"a.weight": dense.weight.detach(), "a.bias": dense.bias.detach()}, ("a",))
    layer = Int8Linear("a", dense, stored)
    x = torch.randn(2, 5, 64)

    with torch.inference_mode():
        y, wanted = layer(x), dense(x)
        held = layer.packed_byte
        layer.release()
        assert layer.packed_byte == 0
        layer.restore(stored)
        again = layer(x)

    assert (y - wanted).abs().max() < 0.05 * wanted.abs().max()
    assert torch.equal(y, again)
    assert held == layer.packed_byte == 32 * 64 + 32 * 8 + 32 * 4


def test_blocks_by_hand() -> None:
    """16 x 3 weights whose columns are 1, 3 and 2 strong: at density 2/3 inputs 1 and 2 are kept."""
    weight = torch.tensor([1.0, 3.0, 2.0]).expand(16, 3)
    starts, inputs, values = sparse_gemm.blocks(weight, 2 / 3)

    assert starts.tolist() == [0, 2]
    assert inputs.tolist() == [1, 2]
    assert values.tolist() == [[3.0] * 16, [2.0] * 16]


@pytest.mark.parametrize("rows", [1, 3, 4, 7, MANY_ROWS - 1, MANY_ROWS, 50])
@pytest.mark.parametrize("density", [0.02, 0.4, 1.0])
def test_sparse_loops_equal_the_masked_dense_product(rows: int, density: float) -> None:
    """Both loops agree with the slow twin: a dense product with everything outside the kept blocks set to zero."""
    torch.manual_seed(rows)
    dense = torch.nn.Linear(24, 48)
    stored = sparse_gemm.to_blocks({"a.weight": dense.weight.detach()}, ("a",), density)
    layer = SparseLinear("a", dense, stored)
    kept = torch.zeros(48, 24)
    for b in range(3):
        for t in range(int(stored["a.starts"][b]), int(stored["a.starts"][b + 1])):
            kept[b * 16 : b * 16 + 16, stored["a.inputs"][t]] = 1
    x = torch.randn(rows, 24)

    with torch.inference_mode():
        torch.testing.assert_close(layer(x), torch.nn.functional.linear(x, dense.weight * kept, dense.bias), atol=1e-5, rtol=1e-5)
    assert kept.sum() == max(1, round(density * 72)) * 16


@pytest.mark.parametrize(("degree", "worst"), [(2, 2.1e-3), (3, 1.2e-4), (4, 5e-6)])
def test_polynomial_error_by_degree(degree: int, worst: float) -> None:
    """Largest relative error of 2^f on [-1/2, 1/2]: 2.1e-3, 1.2e-4 and 5e-6; p(0) is 1 exactly."""
    f = np.linspace(-0.5, 0.5, 10_001)
    p = np.polynomial.polynomial.polyval(f, coefficients(degree).astype(np.float64))

    assert np.abs(p / 2**f - 1).max() < worst
    assert np.abs(p / 2**f - 1).max() > worst / 20
    assert coefficients(degree)[0] == 1.0


def test_softmax_rows() -> None:
    """Rows sum to 1 and stay near torch's; masked scores weigh nothing; a row that sees nothing is all zeros."""
    scores = torch.randn(2, 3, 5, 70, generator=torch.Generator().manual_seed(1)) * 10
    scores[..., 60:] = float("-inf")
    scores[0, 0, 0] = float("-inf")
    weights = softmax(3)(scores)

    assert (weights[0, 0, 0] == 0).all()
    assert (weights[..., 60:] < 1e-30).all()
    seen = torch.ones(2, 3, 5, dtype=torch.bool)
    seen[0, 0, 0] = False
    torch.testing.assert_close(weights.sum(-1)[seen], torch.ones(29), atol=1e-5, rtol=0)
    torch.testing.assert_close(weights[seen], torch.softmax(scores[seen], -1), atol=3e-4, rtol=0)


def padded_logits(name: str | None) -> torch.Tensor:
    """Last logits (2, V) of a batch whose second row has three padding tokens on the left, under attention ``name``."""
    model = tiny.model("llava").eval()
    if name is not None:
        model.set_attn_implementation(name)
    ids = torch.randint(1, 50, (2, 9), generator=torch.Generator().manual_seed(5))
    mask = torch.ones(2, 9, dtype=torch.int64)
    mask[1, :3] = 0
    with torch.inference_mode():
        logits: torch.Tensor = model(input_ids=ids, attention_mask=mask).logits[:, -1]
    return logits


def test_a_padded_batch_keeps_its_mask() -> None:
    """With both registrations a padded row equals sdpa's; with the attention alone it is silently wrong: the trap is real."""
    attention.register("probe", lambda scores: torch.softmax(scores, dim=-1))
    wanted, kept = padded_logits(None), padded_logits("probe")
    AttentionInterface.register("maskless", AttentionInterface._global_mapping["probe"])
    trapped = padded_logits("maskless")

    assert "maskless" not in AttentionMaskInterface._global_mapping
    torch.testing.assert_close(kept, wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(trapped[0], wanted[0], atol=1e-5, rtol=1e-5)
    assert (trapped[1] - wanted[1]).abs().max() > 1e-3


def test_masks_of_every_kind() -> None:
    """A boolean mask, the same as numbers, and the causal rule for a missing one give the same scores; longer masks are cut."""
    scores = torch.zeros(1, 1, 2, 3)
    seen = torch.tensor([[[[True, True, False, True], [True, True, True, False]]]])
    added = torch.where(seen, 0.0, float("-inf"))

    wanted = [[0.0, 0.0, torch.finfo(torch.float32).min], [0.0, 0.0, 0.0]]
    assert attention.masked(scores, seen, causal=False)[0, 0].tolist() == wanted
    assert attention.masked(scores, added, causal=False)[0, 0].tolist() == wanted
    assert attention.masked(scores, None, causal=True)[0, 0].tolist() == wanted
    assert attention.masked(scores, None, causal=False) is scores


@pytest.mark.parametrize("name", ["low_precision", "sparse_gemm", "softmax_approx"])
def test_processor_kernels_are_refused_elsewhere(name: str, tmp_path: object) -> None:
    """On an accelerator a switch whose kernel is the processor's says that it is not applicable."""
    engine = tiny.engine("llava", tmp_path)  # type: ignore[arg-type]
    engine.device = Cuda(name="an accelerator")

    with pytest.raises(OutOfValidityError, match=r"not applicable: .* an accelerator"):
        switch_on(name, engine)
