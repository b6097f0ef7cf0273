"""Layer instruction_set: what each technique rewrites, its control, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deltastack.errors import OutOfValidityError
from deltastack.fleet import accelerator, evaluate, settings
from deltastack.fleet.deployment import Arithmetic, Deployment
from deltastack.layers import layer, techniques
from deltastack.layers.instruction_set import MeasuredKernel
from tests.fakes import fake_trace

ROOT = Path(__file__).parents[2]
SERVED = Deployment(model="Qwen/Qwen3-VL-8B-Instruct", platform="h100_sxm")
LAYER = layer("instruction_set")


def test_the_file_meets_the_layer() -> None:
    """params/layers/instruction_set.yaml has every technique; the one that is on by default is fp8."""
    found = {c.name: c for c in techniques.chosen(ROOT, LAYER)}

    assert [n for n, c in found.items() if c.on] == ["low_precision"]
    assert techniques.apply_techniques(SERVED, [found["low_precision"]]).precision == "fp8"


def test_every_draw_stays_a_deployment() -> None:
    """Eight draws of every technique, all on together, in any order of precision and sparsity."""
    for number in range(8):
        found = techniques.chosen(ROOT, LAYER, draw=number, draws=8)
        one, other = techniques.apply_techniques(SERVED, found), techniques.apply_techniques(SERVED, reversed(found))

        assert replace(one, notes={}) == replace(other, notes={})
        assert one.precision == "fp8"
        assert one.arithmetic.kept == 2
        assert len(one.notes) == 3


def test_controls_change_no_operator_time() -> None:
    """Served precision, density 1, exact exponentials: precision stays and the arithmetic is that of the tables."""
    for one in techniques.chosen(ROOT, LAYER, draw=3, draws=5):
        found = techniques.apply_techniques(SERVED, [one.control()])

        assert found.precision == SERVED.precision
        assert found.arithmetic.kept == found.arithmetic.group
        assert found.arithmetic.exponential_saving == 0.0
        assert found.arithmetic.precise_share == 0.0


@pytest.mark.parametrize("precision", ["int8", "nvfp4"])
def test_unmeasured_precisions_are_refused(precision: str) -> None:
    """fp4 on Hopper and int8 anywhere have no measured operator times: no row instead of a ratio of peak rates."""
    low = LAYER.technique("low_precision")

    with pytest.raises(OutOfValidityError, match=rf"no measured operator times of .* in {precision} .* there are: bf16, fp8"):
        low.rewrite(SERVED, low.params(precision=precision))


def test_fp4_where_it_was_measured() -> None:
    """On B200 the same technique takes the measured nvfp4 times."""
    low = LAYER.technique("low_precision")

    assert low.rewrite(replace(SERVED, platform="b200_sxm"), low.params(precision="nvfp4")).precision == "nvfp4"


def test_an_impossible_pattern_is_refused() -> None:
    """Five of four weights."""
    sparse = LAYER.technique("sparse_gemm")
    values = {"byte_efficiency": 1.0, "compute_efficiency": 1.0, "peak_share": 0.7, "bandwidth_share": 0.8}

    with pytest.raises(OutOfValidityError, match="5 of 4 weights"):
        sparse.rewrite(SERVED, sparse.params(kept=5, group=4, **values))


def test_the_file_s_measured_kernels() -> None:
    """H100, 2026-11-26: 2:4 is twice as slow as dense up to 64 tokens, even at 256, quicker above; fp8 takes 0.49 to 0.57."""
    found = techniques.apply_techniques(SERVED, techniques.chosen(ROOT, LAYER)).arithmetic

    assert found.sparse_kernel is not None
    assert found.precise_kernel is not None
    assert found.sparse_kernel.tokens == found.precise_kernel.tokens == (1, 32, 128, 256, 1024, 4096, 16384)
    assert found.sparse_kernel.factor == pytest.approx([2.02, 2.10, 1.72, 1.01, 0.83, 0.69, 0.82], abs=0.01)
    assert found.precise_kernel.factor == pytest.approx([0.49, 0.54, 0.56, 0.55, 0.57, 0.54, 0.57], abs=0.01)


def test_the_scheme_of_fp8_is_named() -> None:
    """The note says which fp8 the operator times are of, and what was measured apart."""
    note = techniques.apply_techniques(SERVED, techniques.chosen(ROOT, LAYER)).notes["low_precision"]

    assert "one scale a tensor for weights and one for activations (static)" in note
    assert "measured apart on h100_sxm: 0.49 to 0.57 of dense (e4m3, one scale a tensor, static" in note


def test_a_measured_kernel_has_as_many_times_as_token_counts() -> None:
    """A column too short, or a time of 0, is refused where the file is read."""
    p = next(c.params for c in techniques.chosen(ROOT, LAYER) if c.name == "sparse_gemm")
    values = p.measured.model_dump()  # type: ignore[attr-defined]
    for change in ({"kernel_ms": (1.0,)}, {"dense_ms": (0.0,) * 7}):
        with pytest.raises(ValueError, match="as many positive numbers each"):
            MeasuredKernel.model_validate(values | change)


def test_exponentials_save_nothing_that_is_known() -> None:
    """No time is taken off, and what was seen says the ceiling in words."""
    soft = techniques.apply_techniques(SERVED, [c for c in techniques.chosen(ROOT, LAYER) if c.name == "softmax_approx"])
    requests, ready = fake_trace(60, 2.0), settings.load(ROOT)
    was, now = (
        evaluate.observe(evaluate.prepare(d, requests, accelerator.load(ROOT, "h100_sxm"), ready.values), requests, ready)
        for d in (SERVED, soft)
    )

    assert now.usage == was.usage
    assert "no time is taken off" in now.words()["softmax_approx"]
    assert "softmax_approx" not in was.words()


def test_notes_quote_the_cost_in_quality() -> None:
    """What was done is said in words, with the published accuracy of 2:4 weights."""
    notes = techniques.apply_techniques(SERVED, techniques.chosen(ROOT, LAYER)).notes

    assert "MMLU from 0.667 to 0.404" in notes["sparse_gemm"]
    assert notes["low_precision"].startswith("bf16 to fp8")
    assert SERVED.arithmetic == Arithmetic()
