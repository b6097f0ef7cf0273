"""The folders that vLLM serves: names of tensors, words as tokens, and what differs between the sized pair."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from safetensors import safe_open

from deltastack.engine.vllm_cpu import model
from deltastack.testbed.vlm.digits import TOKEN

if TYPE_CHECKING:
    from pathlib import Path


def test_the_folders_hold_what_vllm_reads(tmp_path: Path) -> None:
    """Every trained tensor is there once under its new name; the sized pair differs in its quantization alone; bytes repeat."""
    model.write(tmp_path / "a")
    model.write(tmp_path / "b")

    with safe_open(model.CHECKPOINT, "np") as ours, safe_open(tmp_path / "a/trained/model.safetensors", "np") as theirs:
        assert {model.renamed(k) for k in ours.keys()} == set(theirs.keys())  # noqa: SIM118 - not a dict
        key = "model.language_model.norm.weight"
        assert (ours.get_tensor(key) == theirs.get_tensor(model.renamed(key))).all()
    plain, quantized = (json.loads((tmp_path / "a" / n / "config.json").read_text()) for n in ("sized", "sized-w8a8"))
    assert quantized.pop("quantization_config")["quant_method"] == "compressed-tensors"
    assert plain == quantized
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


def test_the_size_is_that_of_the_shipped_weights() -> None:
    """The card beside the weights says the same."""
    shape = json.loads(model.CHECKPOINT.with_suffix(".json").read_text())["recipe"]["shape"]

    assert {k: getattr(model.TRAINED, k) for k in shape} == shape


def test_words_are_tokens(tmp_path: Path) -> None:
    """The tokenizer reads a prompt as the trainer's numbers; spare rows are no words."""
    from tokenizers import Tokenizer

    model.write(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "trained" / "tokenizer.json"))

    words = ["begin", "<image>", "sum", "all", "?"]
    assert tokenizer.encode(" ".join(words)).ids == [TOKEN[w.strip("<>")] for w in words]
    assert tokenizer.get_vocab_size() == model.TRAINED.vocabulary
    assert Tokenizer.from_file(str(tmp_path / "sized" / "tokenizer.json")).get_vocab_size() == model.SIZED.vocabulary
