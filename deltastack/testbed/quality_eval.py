"""What a cell does to the answers: held-out questions on the trained model, fidelity of logits and tokens on the measured one.

Accuracy is real, because the trained model can be right or wrong; a model of random weights can only be held against
itself. Each metric says of which of the two it is by its name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import OutOfValidityError
from deltastack.model import Bench, Evidence
from deltastack.testbed import bench, quality
from deltastack.testbed.vlm import digits
from deltastack.testbed.vlm.served_model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from deltastack.testbed.bench import Cells
    from deltastack.testbed.vlm.digits import Examples
    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Batch

Row = tuple[object, ...]
_BATCH = 256
_KINDS = {"accuracy_image": (Kind.IMAGE,), "accuracy_text": (Kind.TEXT,), "accuracy": (Kind.IMAGE, Kind.TEXT)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Which questions were answered rightly, (n,) each kind."""

    right: Mapping[Kind, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """First-token logits (T, V) and decoded tokens (N,) of one session."""

    logits: NDArray[np.float64]
    tokens: NDArray[np.int64]


def answer(engine: Engine, some: Examples) -> Answers:
    """The trained model's answers to ``some``, shown and told."""
    return Answers(right={kind: _right(engine, some, kind) for kind in Kind})


def _right(engine: Engine, some: Examples, kind: Kind) -> NDArray[np.bool_]:
    count = len(some.kinds)
    rows = [slice(n, min(n + _BATCH, count)) for n in range(0, count, _BATCH)]
    asked = [digits.batch(some, kind, engine.host.adapter.image_tokens, rows=r) for r in rows]
    served = engine.run(asked).served
    said = np.concatenate([s.tokens[:, -1].cpu().numpy() for s in served])
    return np.asarray(said == some.answers[:, -1])


def trace(engine: Engine, session: Sequence[Batch]) -> Trace:
    """What one session says, to be held against another's."""
    served = engine.run(session).served
    logits = np.concatenate([s.logits.float().cpu().numpy() for s in served]).astype(np.float64)
    return Trace(logits=logits, tokens=np.concatenate([s.tokens.cpu().numpy().ravel() for s in served]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessor:
    """The trained model's engine with its questions, and the measured engine with its session."""

    trained: Engine
    questions: Examples
    measured: Engine
    session: Sequence[Batch]
    host: str
    canonical: bool

    def rows(self, cells: Cells, subject: Mapping[str, str]) -> list[Row]:
        """Rows of QUALITY: every cell but the base against the base; ``subject`` names cells in the table."""
        with bench.entered(self.trained, cells["base"]):
            answers = answer(self.trained, self.questions)
        with bench.entered(self.measured, cells["base"]):
            said = trace(self.measured, self.session)
        return [row for cell, name in subject.items() for row in self._cell(cells, cell, name, answers, said)]

    def _cell(self, cells: Cells, cell: str, name: str, answers: Answers, said: Trace) -> Iterator[Row]:
        with bench.entered(self.measured, cells[cell]):
            spoken = trace(self.measured, self.session)
        try:
            with bench.entered(self.trained, cells[cell]):
                other = answer(self.trained, self.questions)
            yield from self._accuracy(name, answers, other)
        except OutOfValidityError as error:
            tail = (None, None, None, None, None, Evidence.MEASURED, f"the trained model: {error}", self.host, self.canonical)
            yield from ((Bench.TESTBED, name, metric, None, *tail) for metric in _KINDS)
        yield from self._fidelity(name, said, spoken)

    def _accuracy(self, name: str, answers: Answers, other: Answers) -> Iterator[Row]:
        tail = (Evidence.MEASURED, None, self.host, self.canonical)
        for metric, kinds in _KINDS.items():
            before, after = (np.concatenate([a.right[k] for k in kinds]) for a in (answers, other))
            change = quality.accuracy_change(before, after)
            figures = (float(before.mean()), float(after.mean()), change.change, change.low, change.high)
            yield (Bench.TESTBED, name, metric, before.size, *figures, *tail)

    def _fidelity(self, name: str, said: Trace, spoken: Trace) -> Iterator[Row]:
        agreed = float((said.tokens == spoken.tokens).mean())
        nat = quality.divergence_nat(said.logits, spoken.logits)
        why = "one deterministic session has no interval"
        tail = (Evidence.MEASURED, why, self.host, self.canonical)
        yield (Bench.TESTBED, name, "top1_agreement", said.tokens.size, 1.0, agreed, agreed - 1.0, None, None, *tail)
        yield (Bench.TESTBED, name, "divergence_nat", len(said.logits), 0.0, nat, nat, None, None, *tail)
