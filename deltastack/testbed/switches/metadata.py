"""What each switch declares: how exact it is, what it is compared with, and what of it holds on an accelerator.

Read by the tables, the page and the tests; importable without torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from deltastack.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Exactness(StrEnum):
    """What a switch may do to the answers, strictest first."""

    BITWISE = "bitwise"
    """The same logits, bit for bit."""
    TOKEN = "token"  # noqa: S105 - a word of the model's output, not a secret
    """The same tokens; logits may differ by rounding."""
    APPROXIMATE = "approximate"
    """Other numbers: quality is measured beside the saving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One switch. ``against`` names the other baselines that are measured beside the fair one, in words."""

    exactness: Exactness
    fair: str
    """What a competent team runs today: the engine with nothing switched, in this technique's words."""
    against: Mapping[str, str] = field(default_factory=dict)
    carries_over: str
    """What of the finding holds on an accelerator, and what does not."""


_SAME_CORES = {
    "two_threads": "the same two cores inside every operation of the library",
    "free_lanes": "the same two cores, one micro-batch each, no lane shared",
}

_STUDENT = Declared(
    exactness=Exactness.APPROXIMATE,
    fair="the teacher in its full depth; what a student of this shape learns without a teacher stands in students.json",
    carries_over="the share of layers, bytes and operations holds; what is kept of the answers is this task's",
)

DECLARED: Mapping[str, Declared] = {
    "encoder_skip": Declared(
        exactness=Exactness.BITWISE,
        fair="a server that runs the encoder only for requests with an image, as model libraries do: nothing is left to save",
        against={"fixed_graph": "a server with a fixed graph that runs the encoder on a blank image for text-only requests"},
        carries_over="the share of encoder work is the model's and holds; a fixed graph is more common on accelerators",
    ),
    "encoder_unload": Declared(
        exactness=Exactness.BITWISE,
        fair="the encoder's weights stay in memory through every gap",
        carries_over="bytes and their seconds hold; waking goes over the host link there, and power does not fall with memory",
    ),
    "low_precision": Declared(
        exactness=Exactness.APPROXIMATE,
        fair="the engine's own dtype (32 bits on this processor)",
        against={"bfloat16": "everything in bfloat16, which is what accelerators serve in"},
        carries_over="the direction holds for fp8 and fp4 kernels; the size of the saving is this processor's 8-bit dot product",
    ),
    "sparse_gemm": Declared(
        exactness=Exactness.APPROXIMATE,
        fair="dense matrix products by the processor's own library",
        carries_over="the break-even density is this processor's; accelerators have 2:4 kernels with break-evens of their own",
    ),
    "softmax_approx": Declared(
        exactness=Exactness.APPROXIMATE,
        fair="the fused attention of the library (sdpa)",
        against={"same_path": "separate steps with the exact exponential: what the exponential alone costs"},
        carries_over="fused kernels hide exponentials behind matrix products there; the share is small in both places",
    ),
    "block_alignment": Declared(
        exactness=Exactness.BITWISE,
        fair="safetensors mapped and read from front to back, cold; its pages are mapped anew at every load, ours are kept",
        against={
            "buffered": "the same safetensors read through the page cache into private memory",
            "plain_mapping": "the same safetensors in one mapping of our own, without the library: the quickest way here",
        },
        carries_over="bytes and copies carry over; latencies of this virtual disk do not; no zoned device was measured",
    ),
    "shared_weights": Declared(
        exactness=Exactness.BITWISE,
        fair="safetensors mapped: workers of one machine share its pages already, nothing is left to save",
        against={"buffered": "every worker reads the weights into private memory"},
        carries_over="a single-machine analogue of a memory pool: copies saved carry over, a pool's latency is not here",
    ),
    "layer_placement": Declared(
        exactness=Exactness.TOKEN,
        fair="one core, whole batches: what the lanes must pay for with a second core",
        against=_SAME_CORES,
        carries_over="an analogue: lanes share memory; weights read again per micro-batch and the pipeline's bubble carry over",
    ),
    "attention_ffn": Declared(
        exactness=Exactness.TOKEN,
        fair="one core, whole batches: what the lanes must pay for with a second core",
        against=_SAME_CORES,
        carries_over="an analogue: the rule for micro-batches carries over; the gain there is from many attention units",
    ),
    "head_pruning": Declared(
        exactness=Exactness.APPROXIMATE,
        fair="the full model, all heads",
        carries_over="bytes, keys and values fall there alike; the time of a smaller product depends on the kernel's tiles",
    ),
    "weight_pruning": Declared(
        exactness=Exactness.APPROXIMATE,
        fair="the full model, all feed-forward channels",
        carries_over="bytes and operations fall there alike; the time of a smaller product depends on the kernel's tiles",
    ),
    "weight_zeroing": Declared(
        exactness=Exactness.APPROXIMATE,
        fair="the full model: zeros in a dense product are multiplied like any number, so nothing is left to save",
        carries_over="all of it: dense kernels do not look for zeros anywhere; sparse ones are another technique",
    ),
    "early_exit": Declared(
        exactness=Exactness.APPROXIMATE,
        fair="the full model: every token passes all layers, its head once",
        carries_over="a batch is through when its last row is: larger batches save less; the share of exits is the model's own",
    ),
    "part_skipping": Declared(
        exactness=Exactness.APPROXIMATE,
        fair="the full model for every request",
        carries_over="layers saved are work and bytes of cache saved there alike, if requests of one kind are batched together",
    ),
    "logit_student": _STUDENT,
    "attention_student": _STUDENT,
}


def declared(technique: str) -> Declared:
    """What ``technique`` declares.

    Raises:
        UnknownNameError: It has no switch.
    """
    if technique not in DECLARED:
        raise UnknownNameError(f"no switch '{technique}' on the testbed; there are: {', '.join(DECLARED)}")
    return DECLARED[technique]
