"""Every switch with values at which it does something, and with its control's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.testbed.switches import settings as s

if TYPE_CHECKING:
    from deltastack.model import Params

ON: dict[str, Params] = {
    "block_alignment": s.BlockAlignment(alignment_byte=4096),
    "shared_weights": s.SharedWeights(workers=2),
    "encoder_skip": s.Nothing(),
    "encoder_unload": s.EncoderUnload(timeout_s=0.25),
    "low_precision": s.LowPrecision(number="int8"),
    "sparse_gemm": s.SparseGemm(density=0.5),
    "softmax_approx": s.SoftmaxApprox(degree=3),
    "layer_placement": s.Lanes(lanes=2, micro_batches=2),
    "attention_ffn": s.Lanes(lanes=2, micro_batches=2),
    "head_pruning": s.Pruning(kept=0.5),
    "weight_pruning": s.Pruning(kept=0.5),
    "weight_zeroing": s.Zeroing(below=0.5),
    "early_exit": s.EarlyExit(after=0.5, confidence=0, exits=0.5),
    "part_skipping": s.PartSkipping(kind="text", skipped=0.5),
    "logit_student": s.Distillation(served="student"),
    "attention_student": s.Distillation(served="student"),
}
CONTROL: dict[str, Params] = {
    "block_alignment": s.BlockAlignment(alignment_byte=None),
    "shared_weights": s.SharedWeights(workers=1),
    "encoder_skip": s.Nothing(),
    "encoder_unload": s.EncoderUnload(timeout_s=s.NEVER_S),
    "low_precision": s.LowPrecision(number="as_served"),
    "sparse_gemm": s.SparseGemm(density=1),
    "softmax_approx": s.SoftmaxApprox(degree=None),
    "layer_placement": s.Lanes(lanes=1, micro_batches=2),
    "attention_ffn": s.Lanes(lanes=2, micro_batches=1),
    "head_pruning": s.Pruning(kept=1),
    "weight_pruning": s.Pruning(kept=1),
    "weight_zeroing": s.Zeroing(below=0),
    "early_exit": s.EarlyExit(after=1, confidence=0, exits=0.5),
    "part_skipping": s.PartSkipping(kind="text", skipped=0),
    "logit_student": s.Distillation(served="teacher"),
    "attention_student": s.Distillation(served="teacher"),
}
