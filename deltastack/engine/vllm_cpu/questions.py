"""What vLLM is asked: questions about pictures whose answers are known, plain ones and ones behind a long shared opening.

The opening tells 16 grids of the training split in words, each with a question and its answer. Then the request shows a picture
of its own and asks. So a request has 256 words that others have too, which is what a prefix cache is for. The model never learnt
to use such examples: plain questions tell its quality.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from deltastack.contracts import atomic
from deltastack.engine.llamacpp.questions import held_out
from deltastack.testbed.vlm import digits

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.engine.llamacpp.questions import Question

PATH = "/v1/chat/completions"
QUESTIONS, LOAD = "questions.jsonl", "load.jsonl"
COUNT = 200
LONG_TOKENS = 24
_TOLD = 16
_SEED = 5
"""Of the held-out questions that every engine was asked."""


def write(folder: Path) -> None:
    """Write both files of requests."""
    some = held_out(COUNT, _SEED)
    plain = [{"path": PATH, "body": body(q, "", digits.ANSWER_TOKENS), "answer": q.answer.strip()} for q in some]
    shared = opening(_SEED)
    long = [{"path": PATH, "body": body(q, shared, LONG_TOKENS)} for q in held_out(64, _SEED + 1)]
    for name, lines in ((QUESTIONS, plain), (LOAD, long)):
        with atomic(folder / name) as part:
            part.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def body(question: Question, before: str, tokens: int) -> dict[str, Any]:
    """A chat request: ``before``, then the picture, then what is asked of it."""
    shown = question.shown()
    picture, asked = shown["messages"][0]["content"]
    content = [{"type": "text", "text": before}] if before else []
    content += [picture, asked | {"text": asked["text"].strip()}]
    return shown | {"messages": [{"role": "user", "content": content}], "max_tokens": tokens}


def opening(seed: int) -> str:
    """Grids in words, each with its question and answer."""
    some = digits.examples(_TOLD, seed, held_out=False)
    rows = np.concatenate([digits.opening(some.digits, None)[:, 1:], some.questions, some.answers], axis=1)
    return " ".join(digits.WORDS[t] for t in rows.ravel())
