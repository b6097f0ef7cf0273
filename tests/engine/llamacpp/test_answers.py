"""The exported model answers as the trained one does: question by question, and in its distribution of the first token."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from deltastack.engine.llamacpp import vlm
from deltastack.engine.llamacpp.weights import Precision
from deltastack.testbed import settings
from deltastack.testbed.learning import bundled_checkpoint
from deltastack.testbed.vlm import digits, models
from deltastack.testbed.vlm.digits import TOKEN, WORDS
from deltastack.testbed.vlm.served_model import Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from deltastack.engine.llamacpp.questions import Question
    from tests.engine.llamacpp.conftest import Served

    Serve = Callable[..., AbstractContextManager[Served]]

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
FEWEST_SAME = {Precision.F32: 179, Precision.Q8_0: 178, Precision.Q4_0: 174}
"""Of 180 pictures answered as torch does. The engine's activation function is a table in 16 bits: float32 may differ in one."""
FURTHEST_NAT = 0.02
"""Of the first token's log probability, on average, in float32."""


@pytest.fixture(scope="module")
def torch_says(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, tuple[list[str], NDArray[np.float64]]]:
    """Words of the five tokens, and the first one's logits, of 180 questions."""
    root = tmp_path_factory.mktemp("torch")
    bundled_checkpoint.copy(bundled_checkpoint.FOLDER, (root / models.TRAINED).parent)
    engine = models.engine(root, settings.load(ROOT), "trained")
    some = digits.examples(180, 99, held_out=True)
    found = {}
    for kind in Kind:
        served = engine.run([digits.batch(some, kind, engine.host.adapter.image_tokens)]).served[0]
        found[kind] = ([vlm.spelled(t) for t in served.tokens.numpy()], served.logits.numpy().astype(np.float64))
    return found


@pytest.mark.parametrize("precision", FEWEST_SAME)
def test_pictures_are_answered_as_torch_answers(
    serve: Serve,
    held_out: tuple[Question, ...],
    torch_says: dict[Kind, tuple[list[str], NDArray[np.float64]]],
    precision: Precision,
) -> None:
    """And at least nine in ten rightly."""
    with serve("n_parallel=1", precision=precision) as it:
        said = [_text(it.post("/v1/chat/completions", q.shown())) for q in held_out]
    same = sum(a == b for a, b in zip(said, torch_says[Kind.IMAGE][0], strict=True))
    assert same >= FEWEST_SAME[precision]
    assert sum(q.right(text) for q, text in zip(held_out, said, strict=True)) >= 162


def test_words_are_answered_as_torch_answers(
    serve: Serve, held_out: tuple[Question, ...], torch_says: dict[Kind, tuple[list[str], NDArray[np.float64]]]
) -> None:
    """The same five words, and nearly the same log probability of the first."""
    texts, logits = torch_says[Kind.TEXT]
    with serve("n_parallel=1") as it:
        answers = [it.post("/completion", q.told() | {"n_probs": 1}) for q in held_out]
    assert [a["content"] for a in answers] == texts
    away = []
    for answer, row in zip(answers, logits, strict=True):
        first = answer["completion_probabilities"][0]
        away.append(abs(first["logprob"] - (row[first["id"]] - row.max() - math.log(np.exp(row - row.max()).sum()))))
    assert float(np.mean(away)) < FURTHEST_NAT


def test_every_word_is_one_token_and_the_first_comes_by_itself(serve: Serve) -> None:
    """All words in a row, long and short ones that begin alike among them."""
    with serve("n_parallel=1") as it:
        found = it.post("/tokenize", {"content": vlm.spelled(np.arange(len(WORDS))), "add_special": True})["tokens"]
        assert found == [TOKEN["begin"], *range(len(WORDS))]


def test_the_export_uses_the_trainers_own_defaults() -> None:
    """Epsilons and the base of the positions are what the trained shape was built with."""
    from deltastack.testbed.vlm import shapes

    config = shapes.build("llava", settings.load(ROOT).trained.shape, 7).config
    assert config.text_config.rms_norm_eps == config.vision_config.layer_norm_eps == vlm.EPSILON
    assert config.text_config.rope_parameters["rope_theta"] == vlm.ROPE_BASE
    assert config.text_config.max_position_embeddings == vlm.CONTEXT


def _text(answer: dict[str, object]) -> str:
    choices = answer["choices"]
    assert isinstance(choices, list)
    return str(choices[0]["message"]["content"])
