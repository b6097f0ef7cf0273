"""Held-out questions for the project's own vision-language model, as the engine's users send them.

A question shows its grid as a picture, in a chat request with a ``data:`` address, or tells it in words, in a plain completion.
The right answer is known, so that quality is the share of right answers and not likeness to another run.
"""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deltastack.contracts import atomic
from deltastack.engine.llamacpp.vlm import spelled
from deltastack.testbed.vlm import digits

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question: the grid as a PNG and in words, what is asked, and the right answer."""

    picture: bytes
    words: str
    asked: str
    answer: str
    kind: str

    def shown(self) -> dict[str, Any]:
        """The body of ``/v1/chat/completions`` that shows the grid."""
        address = "data:image/png;base64," + base64.b64encode(self.picture).decode()
        content = [{"type": "image_url", "image_url": {"url": address}}, {"type": "text", "text": self.asked}]
        return {"messages": [{"role": "user", "content": content}], "max_tokens": digits.ANSWER_TOKENS} | _GREEDY

    def told(self) -> dict[str, Any]:
        """The body of ``/completion`` that tells the grid in words."""
        return {"prompt": self.words + self.asked, "n_predict": digits.ANSWER_TOKENS} | _GREEDY

    def right(self, text: str) -> bool:
        """Whether ``text`` is the right answer, spaces apart."""
        return text.split() == self.answer.split()


_GREEDY = {"temperature": 0, "ignore_eos": True}


def held_out(count: int, seed: int) -> tuple[Question, ...]:
    """``count`` questions about scans that nothing was trained on, every kind equally often."""
    some = digits.examples(count, seed, held_out=True)
    words = digits.opening(some.digits, None)[:, 1:]  # the first word stands before every request by itself
    return tuple(
        Question(
            picture=_png(some.images[n]),
            words=spelled(words[n]),
            asked=spelled(some.questions[n]),
            answer=spelled(some.answers[n]),
            kind=digits.QUESTIONS[some.kinds[n]],
        )
        for n in range(count)
    )


def write(path: Path, count: int, seed: int) -> None:
    """Write ``count`` questions with their pictures as a file of requests: JSON lines of path, body and answer."""
    lines = (json.dumps({"path": "/v1/chat/completions", "body": q.shown(), "answer": q.answer}) for q in held_out(count, seed))
    with atomic(path) as part:
        part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _png(image: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()
