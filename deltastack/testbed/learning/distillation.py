"""How a student learns from the default model: by its answers alone, by its teacher's logits, by its attention as well.

    hard       CE(z_s, answer)                                              what a smaller model learns by itself
    soft       T^2 KL(softmax(z_t / T) || softmax(z_s / T))                 mean over answer tokens
    aligned    KL(A_t || A_s)                                               mean over aligned layers, heads and rows

    hard_student           hard                                  the fair baseline: no distillation is in it
    logit_student          (1 - a) hard + a soft
    attention_student      (1 - a) hard + a soft + b aligned

All three begin from the same layers of the teacher, see the same questions in the same order and take the same number of
steps. Encoder, projector and widths are the teacher's; the student's decoder learns, whole.

Source: soft targets with T^2, Hinton, Vinyals & Dean, arXiv 1503.02531; KL of attention, MiniLM, arXiv 2002.10957 (its last
layer only; here every layer of the student with the teacher's layer whose place it takes).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from deltastack.testbed.learning import vlm_training
from deltastack.testbed.vlm import digits, shapes, students
from deltastack.testbed.vlm.families import scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from deltastack.testbed.learning.vlm_training import Packed, Point
    from deltastack.testbed.settings import Distilled, Testbed

How = Literal["hard_student", "logit_student", "attention_student"]
HARD: How = "hard_student"
TAUGHT: tuple[How, ...] = ("logit_student", "attention_student")
LAYERS = "model.language_model.layers."
"""What the names of decoder layers begin with in the default model."""
_DECODER = "model.language_model."
_LEAST = 1e-9
"""Below it an attention weight is none: its logarithm is never taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graduate:
    """A student's tensors (its decoder only), its curve, and what it cost."""

    tensors: Mapping[str, Tensor]
    curve: tuple[Point, ...]
    cpu_s: float


def soft(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL(teacher || student) [nat] of logits (n, V), mean over n."""
    import torch

    told, said = ((z / temperature).log_softmax(-1) for z in (teacher, student))
    divergence = torch.nn.functional.kl_div(said, told, log_target=True, reduction="batchmean")
    return divergence * temperature**2


def aligned(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(teacher || student) [nat] of attention weights (n, heads, Q, K), mean over n, heads and rows."""
    ratio = teacher.clamp_min(_LEAST).log() - student.clamp_min(_LEAST).log()
    return (teacher * ratio).sum(-1).mean()


def teach(teacher: Any, p: Testbed, how: How, say: Callable[[str], None]) -> Graduate:
    """A student of ``teacher``; the same teacher, parameters, versions and kind of processor give the same bytes."""
    began_s = time.process_time()
    with vlm_training.exactly():
        lesson = _Lesson(teacher=teacher, student=_beginner(teacher, p), how=how, p=p.students, places=places(p))
        decoder = lesson.student.model.language_model
        for w in decoder.parameters():
            w.requires_grad = True
        curve = tuple(vlm_training.steps(how, p.students.language, list(decoder.parameters()), _drawn(lesson, p), say))
    learned = {k: w.detach() for k, w in lesson.student.named_parameters() if k.startswith(_DECODER)}
    return Graduate(tensors=learned, curve=curve, cpu_s=time.process_time() - began_s)


def places(p: Testbed) -> tuple[int, ...]:
    """The teacher's layers whose places the student's take."""
    return students.spread(p.trained.shape.layers, p.students.kept)


def _beginner(teacher: Any, p: Testbed) -> Any:
    """The student before its first step: some of its teacher's layers, nothing of it learning yet."""
    kept = places(p)
    student = shapes.build("llava", p.trained.shape.model_copy(update={"layers": len(kept)}), p.students.seed)
    begun = students.taken(dict(teacher.named_parameters()), LAYERS, kept)
    student.load_state_dict(begun, strict=False)
    for w in (*teacher.parameters(), *student.parameters()):
        w.requires_grad = False
    return student.train()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lesson:
    teacher: Any
    student: Any
    how: How
    p: Distilled
    places: tuple[int, ...]

    def __post_init__(self) -> None:
        """The fused attention gives no weights: both attend by the plain one where they are compared."""
        for model in (self.teacher, self.student):
            model.model.language_model.set_attn_implementation("eager" if self.how == "attention_student" else "sdpa")

    def loss(self, packed: Packed, pixels: dict[str, Tensor]) -> Tensor:
        """The loss of one set of sequences."""
        import torch

        shown = {"output_attentions": True} if self.how == "attention_student" else {}
        said = vlm_training.said(self.student, packed, pixels, **shown)
        at = packed.answer_at
        logits = said.logits[:, at - 1].flatten(0, 1)
        hard = torch.nn.functional.cross_entropy(logits, packed.sequence[:, at].flatten())
        if self.how == HARD:
            return hard
        with torch.no_grad():
            told = vlm_training.said(self.teacher, packed, pixels, **shown)
        a = self.p.soft
        both = (1 - a) * hard + a * soft(logits, told.logits[:, at - 1].flatten(0, 1), self.p.temperature)
        if not shown:
            return both
        pairs = [(said.attentions[n], told.attentions[place]) for n, place in enumerate(self.places)]
        return both + self.p.aligned * sum(aligned(s, t) for s, t in pairs) / len(pairs)


def _drawn(lesson: _Lesson, p: Testbed) -> Callable[[], Tensor]:
    """The loss of fresh grids at every call, shown and told; every student draws the same ones."""
    chance, source = np.random.default_rng([p.students.seed, 2]), digits.scans(held_out=False)
    stage, shape = p.students.language, p.trained.shape
    tokens = (shape.image // shape.patch) ** 2

    def loss() -> Tensor:
        rows = chance.integers(0, len(source.labels), (stage.grids, len(digits.CELLS)))
        grids = source.labels[rows]
        images = scaled(vlm_training.grids(source, rows, chance), shape.image)
        seen = lesson.loss(vlm_training.pack(chance, grids, stage.questions, tokens), {"pixel_values": images})
        told = lesson.loss(vlm_training.pack(chance, grids, stage.questions, None), {})
        return (seen + told) / 2

    return loss
