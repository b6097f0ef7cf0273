"""The folders that vLLM serves: names of tensors, words as tokens, and that widening changes no answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from deltastack.engine.vllm_cpu import model, questions, weights
from deltastack.testbed.vlm.digits import TOKEN, WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[np.floating]

BLOCK = "language_model.model.layers."
NORM = "language_model.model.norm.weight"


def test_the_folders_hold_what_vllm_reads(tmp_path: Path) -> None:
    """Every trained tensor is there once under its new name; the wide pair differs in its quantization; bytes repeat."""
    model.write(tmp_path / "a")
    model.write(tmp_path / "b")

    with safe_open(model.CHECKPOINT, "np") as ours, safe_open(tmp_path / "a/trained/model.safetensors", "np") as theirs:
        assert {weights.renamed(k) for k in ours.keys()} == set(theirs.keys())  # noqa: SIM118 - not a dict
        key = "model.language_model.norm.weight"
        assert (ours.get_tensor(key) == theirs.get_tensor(weights.renamed(key))).all()
    plain, quantized = (json.loads((tmp_path / "a" / n / "config.json").read_text()) for n in ("wide", "wide-w8a8"))
    assert quantized.pop("quantization_config")["quant_method"] == "compressed-tensors"
    assert plain == quantized
    with safe_open(tmp_path / "a/wide-w8a8/model.safetensors", "np") as small:
        key = "language_model.model.layers.7.mlp.down_proj.weight"
        assert small.get_tensor(key).dtype == np.int8
        assert small.get_tensor(f"{key}_scale").shape == (model.WIDE.hidden, 1)
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


def test_folders_that_are_there_are_left_alone(tmp_path: Path) -> None:
    """What was written from the same weights and code is not written again; a folder of other ones is."""
    model.write(tmp_path)
    card = tmp_path / "wide" / "config.json"
    card.write_text("mine")

    model.write(tmp_path)
    assert card.read_text() == "mine"
    (tmp_path / model.MADE).write_text("of another version")
    model.write(tmp_path)
    assert card.read_text() != "mine"


def test_requests_share_their_opening_and_nothing_else(tmp_path: Path) -> None:
    """256 words of the tokenizer, the same before every picture; plain questions carry their answers."""
    model.write(tmp_path)
    long, plain = (
        [json.loads(x) for x in (tmp_path / n).read_text().splitlines()] for n in (questions.LOAD, questions.QUESTIONS)
    )

    openings = {r["body"]["messages"][0]["content"][0]["text"] for r in long}
    assert [len(o.split()) for o in openings] == [256]
    assert set(openings.pop().split()) <= set(WORDS)
    assert len({r["body"]["messages"][0]["content"][1]["image_url"]["url"] for r in long}) == len(long)
    assert len(plain) == questions.COUNT
    assert all(len(r["answer"].split()) == r["body"]["max_tokens"] for r in plain)


def block(x: Array, tensors: Mapping[str, Array], epsilon: float) -> Array:
    """A decoder block without its attention, and the norm after the last one."""
    own = {k.removeprefix(f"{BLOCK}0."): w for k, w in tensors.items()}
    n = norm(x, own["post_attention_layernorm.weight"], epsilon)
    gate, up = own["mlp.gate_proj.weight"] @ n, own["mlp.up_proj.weight"] @ n
    return norm(x + own["mlp.down_proj.weight"] @ (gate / (1 + np.exp(-gate)) * up), tensors[NORM], epsilon)


def norm(x: Array, weight: Array, epsilon: float) -> Array:
    """A root-mean-square norm."""
    return x / np.sqrt((x**2).mean() + epsilon) * weight


@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.integers(0, 7))
def test_a_widened_block_computes_the_same(seed: int, more: int, wider: int) -> None:
    """Its first numbers are the narrow block's, the others are zero, whatever the weights are."""
    chance = np.random.default_rng(seed)
    hidden, inner = 4, 6
    shapes = {
        f"{BLOCK}0.post_attention_layernorm.weight": (hidden,),
        f"{BLOCK}0.mlp.gate_proj.weight": (inner, hidden),
        f"{BLOCK}0.mlp.up_proj.weight": (inner, hidden),
        f"{BLOCK}0.mlp.down_proj.weight": (hidden, inner),
        NORM: (hidden,),
    }
    narrow = {k: chance.normal(size=shape).astype(np.float32) for k, shape in shapes.items()}
    x = chance.normal(size=hidden)

    wide = weights.widened(narrow, hidden=hidden + more, feed_forward=inner + wider, layers=2)
    found = block(np.pad(x, (0, more)), wide, 1e-6 * hidden / (hidden + more))

    np.testing.assert_allclose(found[:hidden], block(x, narrow, 1e-6), rtol=1e-4, atol=1e-5)
    assert not found[hidden:].any()
    assert not wide[f"{BLOCK}1.mlp.down_proj.weight"].any()
    assert (wide[f"{BLOCK}1.mlp.up_proj.weight"] == wide[f"{BLOCK}0.mlp.up_proj.weight"]).all()


def test_a_norm_by_hand() -> None:
    """One number among four: the weight 2 becomes 2 · sqrt(1/4) = 1."""
    tensors = {NORM: np.array([2.0], np.float32), f"{BLOCK}0.mlp.up_proj.weight": np.ones((3, 1), np.float32)}

    assert weights.widened(tensors, hidden=4, feed_forward=3, layers=1)[NORM].tolist() == [1, 0, 0, 0]


@given(st.integers(0, 2**32 - 1))
def test_8_bits_are_half_a_step_off_at_most(seed: int) -> None:
    """Each row has steps of its own: its largest value / 127."""
    values = np.random.default_rng(seed).normal(size=(3, 8)).astype(np.float32)
    name = f"{BLOCK}0.mlp.up_proj.weight"

    found = weights.in_8_bits({name: values})

    step = np.abs(values).max(axis=1, keepdims=True) / 127
    assert (np.abs(found[name] * found[f"{name}_scale"] - values) <= step / 2 * (1 + 1e-4)).all()


def test_the_size_is_that_of_the_shipped_weights() -> None:
    """The card beside the weights says the same."""
    shape = json.loads(model.CHECKPOINT.with_suffix(".json").read_text())["recipe"]["shape"]

    assert {k: getattr(model.TRAINED, k) for k in shape} == shape


def test_words_are_tokens(tmp_path: Path) -> None:
    """The tokenizer reads a prompt as the trainer's numbers."""
    from tokenizers import Tokenizer

    model.write(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "trained" / "tokenizer.json"))

    words = ["begin", "<image>", "sum", "all", "?"]
    assert tokenizer.encode(" ".join(words)).ids == [TOKEN[w.strip("<>")] for w in words]
    assert tokenizer.get_vocab_size() == model.TRAINED.vocabulary
