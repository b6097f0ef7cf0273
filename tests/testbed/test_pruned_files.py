"""Pruned parts that were trained again: the file that ships, how it is served, what it answers, and when it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from deltastack.errors import EvidenceError, OutOfValidityError
from deltastack.testbed import quality_eval, settings
from deltastack.testbed.learning import bundled_checkpoint, bundled_students, pruned_training
from deltastack.testbed.switches.settings import Distillation, Pruning
from deltastack.testbed.vlm import digits, models, pruned_files
from deltastack.testbed.vlm.served_model import Kind
from deltastack.workload.settings import sha256
from tests.testbed import tiny
from tests.testbed.switches.cases import switch_on
from tests.testbed.switches.test_conformance import same

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def checkpoint(root: Path) -> settings.Testbed:
    """The shipped model, its students and its retrained parts in ``root``; the values of this checkout."""
    folder = (root / models.TRAINED).parent
    for one in (bundled_checkpoint, bundled_students, pruned_training):
        one.copy(bundled_checkpoint.FOLDER, folder)
    return settings.load(ROOT)


def test_the_shipped_parts_are_those_of_these_params() -> None:
    """Hash, model and recipe agree with the card; each part was asked, and training again gave back most of what cutting took."""
    p, known = settings.load(ROOT), pruned_files.card(bundled_checkpoint.FOLDER)

    why = pruned_files.misfit(bundled_checkpoint.FOLDER, p.retrained, bundled_checkpoint.FOLDER / bundled_checkpoint.FILE)
    assert why is None, f"{why}: python -m tasks.checkpoint --ship-retrained"
    assert sha256(bundled_checkpoint.FOLDER / pruned_files.FILE) == known["sha256"]
    assert known["questions"] >= 1024
    for name, part in known["parts"].items():
        assert part["kept"] == p.retrained.of(name).kept
        assert part["cut"]["change"] < part["trained_again"]["change"]
        assert part["trained_again"]["change"] > 0.25 * part["cut"]["change"]
        assert {"full_trained_as_long", "curve", "cpu_s"} <= part.keys()


def test_what_is_served_is_what_was_trained_again(tmp_path: Path) -> None:
    """On 120 questions a kind half of the heads answer as the card says (to 8 points); cut alone they answer far less."""
    p = checkpoint(tmp_path)
    engine = models.engine(tmp_path, p, "trained")
    some = digits.examples(120, 9, held_out=True)
    right = {}
    for again in (False, True):
        with switch_on("head_pruning", engine, Pruning(kept=0.5, retrained=again)):
            right[again] = quality_eval.answer(engine, some).right

    known = pruned_files.card(bundled_checkpoint.FOLDER)["parts"]["head_pruning"]
    for again, how in ((False, "cut"), (True, "trained_again")):
        assert {k: float(r.mean()) for k, r in right[again].items()} == pytest.approx({k: known[how][k] for k in Kind}, abs=0.08)


def test_both_parts_are_served_together(tmp_path: Path) -> None:
    """The two parts share no tensor: with both on, heads come from one and channels from the other, whichever entered first."""
    p = checkpoint(tmp_path)
    engine = models.engine(tmp_path, p, "trained")
    some = digits.examples(64, 3, held_out=True)
    batch = (digits.batch(some, Kind.IMAGE, engine.host.adapter.image_tokens),)
    on = {name: Pruning(kept=p.retrained.of(name).kept, retrained=True) for name in pruned_files.BLOCK}
    said = []
    for names in (tuple(pruned_files.BLOCK), (*reversed(pruned_files.BLOCK),)):
        with switch_on(names[0], engine, on[names[0]]), switch_on(names[1], engine, on[names[1]]):
            said.append(engine.run(batch))
            layer = engine.serving.store(models.read_weights(tmp_path / models.TRAINED))

    assert same(*said)
    again = models.read_weights(bundled_checkpoint.FOLDER / pruned_files.FILE)
    assert {k for k in again if not torch.equal(layer[k], again[k].float())} == set()


def test_a_student_and_any_other_model_are_cut_as_they_are(tmp_path: Path) -> None:
    """Weights that were trained again are the trained model's: a student and a host of random weights are served merely cut."""
    p = checkpoint(tmp_path)
    trained = models.engine(tmp_path, p, "trained")
    some = digits.examples(64, 3, held_out=True)
    batch = (digits.batch(some, Kind.TEXT, trained.host.adapter.image_tokens),)
    said = []
    for again in (False, True):
        with (
            switch_on("logit_student", trained, Distillation(served="student")),
            switch_on("head_pruning", trained, Pruning(kept=0.5, retrained=again)),
        ):
            said.append(trained.run(batch))
    other = tiny.engine("llava", tmp_path / "tiny", loud=True)
    for again in (False, True):
        with switch_on("head_pruning", other, Pruning(kept=0.5, retrained=again)):
            said.append(other.run(tiny.session(other)))

    assert same(said[0], said[1])
    assert same(said[2], said[3])


def test_other_shares_and_other_files_are_refused(tmp_path: Path) -> None:
    """A share that nobody trained, a card of other parameters or of another model, and a changed file: each says what to do."""
    p = checkpoint(tmp_path)
    engine = models.engine(tmp_path, p, "trained")
    folder = (tmp_path / models.TRAINED).parent
    on = Pruning(kept=0.5, retrained=True)

    with pytest.raises(OutOfValidityError, match=r"head_pruning was trained again with 0.5 kept, not with 0.75; retrained\.head"):
        switch_on("head_pruning", engine, Pruning(kept=0.75, retrained=True)).__enter__()
    engine.retrained = pruned_files.Parts(trained=tmp_path / models.TRAINED, p=p.retrained.model_copy(update={"seed": 1}))
    with pytest.raises(OutOfValidityError, match=r"other parameters than `retrained` in params/testbed.yaml; `python -m"):
        switch_on("head_pruning", engine, on).__enter__()
    engine.retrained = pruned_files.Parts(trained=tmp_path / models.TRAINED, p=p.retrained)
    (folder / pruned_files.FILE).write_bytes(b"")
    with pytest.raises(EvidenceError, match=r"retrained.safetensors has hash \w{18}, its card says \w{18}"):
        switch_on("head_pruning", engine, on).__enter__()
    (folder / bundled_checkpoint.FILE).write_bytes(b"")
    with pytest.raises(OutOfValidityError, match="those here belong to another model"):
        switch_on("head_pruning", engine, on).__enter__()
    (folder / pruned_files.CARD).unlink()
    with pytest.raises(OutOfValidityError, match="no pruned part was trained again yet"):
        switch_on("head_pruning", engine, on).__enter__()


def test_training_again_touches_its_part_alone_and_is_deterministic(tmp_path: Path) -> None:
    """Three steps, twice: the same tensors, of half the size; only feed-forward blocks learn; another seed gives others."""
    p = checkpoint(tmp_path)
    values = p.retrained.weight_pruning
    short = values.model_copy(update={"language": values.language.model_copy(update={"steps": 3})})
    few = p.model_copy(update={"retrained": p.retrained.model_copy(update={"weight_pruning": short})})
    tensors = models.read_weights(tmp_path / models.TRAINED)
    said: list[str] = []

    model = pruned_training.beginner(tensors, few, "weight_pruning", 0.5)
    first, again = (pruned_training.part_again(tensors, few, "weight_pruning", 0.5, said.append) for _ in range(2))
    seeded = few.model_copy(update={"retrained": few.retrained.model_copy(update={"seed": 1})})
    other = pruned_training.part_again(tensors, seeded, "weight_pruning", 0.5, said.append)

    own = {k for k in tensors if ".language_model." in k and ".mlp." in k}
    assert {k for k, w in model.named_parameters() if w.requires_grad} == own
    assert all(torch.equal(w, tensors[k]) for k, w in model.named_parameters() if k not in own)
    assert first.tensors.keys() == again.tensors.keys() == own
    assert not any(torch.equal(w, other.tensors[k]) for k, w in first.tensors.items())
    assert all(torch.equal(w, again.tensors[k]) for k, w in first.tensors.items())
    assert all(2 * w.numel() == tensors[k].numel() for k, w in first.tensors.items())
    assert said[0].startswith("weight_pruning, 50% kept: language 3/3: loss ")
    engine = models.engine(tmp_path, p, "trained")
    with switch_on("weight_pruning", engine, Pruning(kept=0.5)):
        cut = engine.serving.store(tensors)
    assert not any(torch.equal(w.float(), cut[k]) for k, w in first.tensors.items())
