"""The model that ships: its file is the one its card speaks of, it answers, and it is refused when it was changed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deltastack.errors import EvidenceError
from deltastack.testbed import quality_eval, settings
from deltastack.testbed.learning import bundled_checkpoint, vlm_training
from deltastack.testbed.vlm import digits, models
from deltastack.testbed.vlm.served_model import Kind
from deltastack.workload.settings import sha256

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_the_shipped_file_is_the_one_of_these_params() -> None:
    """Hash and recipe agree with the card; at least 95 % of image and of text questions were right when it was made."""
    p, card = settings.load(ROOT), bundled_checkpoint.card(bundled_checkpoint.FOLDER)

    assert bundled_checkpoint.fits(bundled_checkpoint.FOLDER, p.trained), (
        "params/testbed.yaml changed the training: python -m tasks.checkpoint --ship"
    )
    assert sha256(bundled_checkpoint.FOLDER / bundled_checkpoint.FILE) == card["sha256"]
    assert min(card["accuracy"][kind]["all"] for kind in Kind) >= p.trained.least_accuracy >= 0.95
    assert card["questions"] >= 1024
    assert [stage for stage, _, _ in card["curve"]] == sorted((s for s, _, _ in card["curve"]), reverse=True)


def test_it_answers_held_out_questions(tmp_path: Path) -> None:
    """Copied and asked 180 held-out questions of each kind here: at least 90 % right, and the first one by its words."""
    p = settings.load(ROOT)
    bundled_checkpoint.copy(bundled_checkpoint.FOLDER, (tmp_path / models.TRAINED).parent)
    some = digits.examples(180, 99, held_out=True)

    engine = models.engine(tmp_path, p, "trained")
    right = quality_eval.answer(engine, some).right

    assert {k: r.mean() > 0.9 for k, r in right.items()} == {Kind.IMAGE: True, Kind.TEXT: True}


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    """One byte more and the card's hash no longer fits: both hashes are named."""
    source = tmp_path / "package"
    bundled_checkpoint.copy(bundled_checkpoint.FOLDER, source)
    (source / bundled_checkpoint.FILE).write_bytes((source / bundled_checkpoint.FILE).read_bytes() + b"\0")

    with pytest.raises(EvidenceError, match=r"trained.safetensors has hash \w{18}, its card says \w{18}: install"):
        bundled_checkpoint.copy(source, tmp_path / "target")


def test_training_is_deterministic_and_too_little_of_it_is_refused(tmp_path: Path) -> None:
    """Three steps of each stage, twice: the same bytes. Such a model does not reach 95 % and is refused by kind."""
    p = settings.load(ROOT)
    short = {"vision": {**p.trained.vision.model_dump(), "steps": 3}, "language": {**p.trained.language.model_dump(), "steps": 3}}
    few = p.model_copy(update={"trained": settings.Trained.model_validate({**p.trained.model_dump(), **short, "held_out": 64})})
    said: list[str] = []

    for n in range(2):
        bundled_checkpoint.write(
            vlm_training.train(few.trained, said.append), few.trained, (tmp_path / str(n) / models.TRAINED).parent
        )

    first, again = (bundled_checkpoint.card((tmp_path / str(n) / models.TRAINED).parent) for n in range(2))
    assert first["sha256"] == again["sha256"]
    assert [stage for stage, *_ in first["curve"]] == ["vision", "language"]
    assert not bundled_checkpoint.fits((tmp_path / "0" / models.TRAINED).parent, p.trained)
    with pytest.raises(EvidenceError, match=r"answers too few held-out questions: image [\d.]+%, text [\d.]+%; wanted 95%"):
        bundled_checkpoint.check(tmp_path / "0", few)
    assert "accuracy" in json.loads((tmp_path / "0" / models.TRAINED).with_name(bundled_checkpoint.CARD).read_text())


def test_jitter_keeps_the_digit_and_moves_at_most_a_pixel() -> None:
    """Labels stay in order, levels stay in 0..255, and the centre of mass moves by little more than a pixel."""
    source = digits.scans(held_out=False)
    rows = np.arange(40).reshape(10, 4)

    moved = digits.jittered(source, rows, np.random.default_rng(0))

    assert np.array_equal(moved.labels, source.labels[:40])
    assert moved.images.dtype == np.uint8
    grid = np.arange(8)
    centres = [(s.images[:40].astype(float) * grid).sum((1, 2)) / s.images[:40].sum((1, 2)) for s in (source, moved)]
    assert np.abs(centres[0] - centres[1]).max() < 1.6
