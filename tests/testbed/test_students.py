"""Students: which of the teacher's layers they take, what their lessons minimise, and which files are served as whose."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from deltastack.errors import EvidenceError, OutOfValidityError
from deltastack.testbed import settings
from deltastack.testbed.learning import bundled_checkpoint, bundled_students, distillation
from deltastack.testbed.quality_eval import answer
from deltastack.testbed.vlm import digits, model_card, models, shapes, student_files, students
from deltastack.testbed.vlm.layouts import Mapped
from deltastack.testbed.vlm.served_model import Kind
from deltastack.testbed.vlm.serving import ServingConfig
from tests.testbed import tiny
from tests.testbed.switches.cases import switch_on
from tests.testbed.switches.test_conformance import same

if TYPE_CHECKING:
    from deltastack.testbed.learning.distillation import Graduate, How
    from deltastack.testbed.settings import Testbed

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
ROOT = Path(__file__).parents[2]


SMALL = {"hidden": 32, "heads": 2, "vision_hidden": 16, "vision_layers": 1, "vision_heads": 2}


def short(steps: int = 3, **changes: Any) -> Testbed:
    """The shipped params with ``steps`` small steps of teaching."""
    p = settings.load(ROOT)
    stage = p.students.language.model_copy(update={"steps": steps, "grids": 4, "questions": 2})
    return p.model_copy(update={"students": p.students.model_copy(update={"language": stage, **changes})})


def lesson(how: How, steps: int, **changes: Any) -> Graduate:
    """A student of a narrow teacher with random weights, of the default model's depth."""
    p = short(steps, **changes)
    p = p.model_copy(update={"trained": p.trained.model_copy(update={"shape": p.trained.shape.model_copy(update=SMALL)})})
    return distillation.teach(shapes.build("llava", p.trained.shape, 0), p, how, lambda _: None)


@given(layers=st.integers(1, 40), share=st.floats(0.01, 1))
def test_layers_are_spread_over_the_teachers(layers: int, share: float) -> None:
    """At least one, at most all, strictly rising, from the first on, and to the last where there are two or more."""
    places = students.spread(layers, share)

    assert len(places) == max(1, round(share * layers))
    assert list(places) == sorted(set(places))
    assert places[0] == 0
    assert places[-1] == layers - 1 or len(places) == 1


def test_taken_layers_get_the_names_of_the_first() -> None:
    """Of layers 0, 1 and 2 the student takes 0 and 2 as 0 and 1; what is no layer stays."""
    tensors = {name: torch.tensor([float(i)]) for i, name in enumerate(("d.0.w", "d.1.w", "d.2.w", "e.1.w"))}

    found = students.taken(tensors, "d.", (0, 2))

    assert {k: v.item() for k, v in found.items()} == {"d.0.w": 0, "d.1.w": 2, "e.1.w": 3}


def test_soft_targets_by_hand() -> None:
    """Teacher (2 ln 3, 0), student (0, 0), T = 2: probabilities 3/4 and 1/4 against halves.

    KL = 3/4 ln(3/2) + 1/4 ln(1/2) = 0.130812 nat, times T^2 = 0.523248; a student like its teacher has nothing to learn.
    """
    told, said = torch.tensor([[2 * math.log(3), 0.0]]), torch.zeros(1, 2)

    assert distillation.soft(said, told, 2.0).item() == pytest.approx(0.523248, abs=1e-5)
    assert distillation.soft(told, told, 2.0).item() == pytest.approx(0.0, abs=1e-7)


def test_attention_alignment_by_hand() -> None:
    """One head, two rows: (3/4, 1/4) against halves is 0.130812 nat, (1, 0) against (1, 0) nothing; the mean is half of it."""
    told = torch.tensor([[[[0.75, 0.25], [1.0, 0.0]]]])
    said = torch.tensor([[[[0.5, 0.5], [1.0, 0.0]]]])

    assert distillation.aligned(said, told).item() == pytest.approx(0.065406, abs=1e-5)


@given(st.integers(0, 10_000))
@limits(max_examples=25, deadline=None)
def test_no_loss_is_negative(seed: int) -> None:
    """Both divergences are at least zero, whatever the logits."""
    chance = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(3, 7, generator=chance) for _ in range(2))

    assert distillation.soft(a, b, 3.0).item() >= -1e-6
    assert distillation.aligned(*(z.softmax(-1)[None, None] for z in (a, b))).item() >= -1e-6


@pytest.mark.parametrize("how", ["hard_student", "logit_student", "attention_student"])
def test_teaching_is_deterministic(how: How) -> None:
    """Two steps, twice: the same bytes, of the decoder alone and of its two layers."""
    first, again = (lesson(how, 2).tensors for _ in range(2))

    assert all(torch.equal(w, again[k]) for k, w in first.items())
    assert {k.split(".")[1] for k in first} == {"language_model"}
    assert {k.split(".")[3] for k in first if k.startswith(distillation.LAYERS)} == {"0", "1"}


def test_teaching_lowers_the_loss() -> None:
    """Answers, soft targets and attention together: the last ten of 60 small steps cost less than the first fifty."""
    first, last = lesson("attention_student", 60).curve

    assert (first.step, last.step) == (50, 60)
    assert last.loss < 0.95 * first.loss


def test_the_three_lessons_differ() -> None:
    """One step of each from the same beginning and on the same grids: soft targets and alignment change the loss.

    Without a share of the soft loss, the lesson by logits is that by answers; without weight, alignment is none.
    """
    first = {how: lesson(how, 1).curve[0].loss for how in bundled_students.ALL}

    assert lesson("logit_student", 1, soft=0.0).curve[0].loss == pytest.approx(first["hard_student"], rel=1e-5)
    assert lesson("attention_student", 1, aligned=0.0).curve[0].loss == pytest.approx(first["logit_student"], rel=1e-5)
    assert first["logit_student"] != pytest.approx(first["hard_student"], rel=1e-3)
    assert first["attention_student"] > first["logit_student"]


def test_the_shipped_students_are_those_of_the_shipped_model() -> None:
    """Hashes, recipe and teacher agree with the card; two layers of three; all shipped files together are below 6 MB."""
    p, card = settings.load(ROOT), student_files.card(bundled_checkpoint.FOLDER)

    why = student_files.misfit(bundled_checkpoint.FOLDER, p.students, bundled_checkpoint.FOLDER / bundled_checkpoint.FILE)
    assert why is None, f"{why}: python -m tasks.checkpoint --ship-students"
    for how in distillation.TAUGHT:
        model_card.checked(bundled_checkpoint.FOLDER / student_files.file(how), card["students"][how]["sha256"], "teach again")
    assert (card["layers"], card["layers_of_the_teacher"]) == (2, 3)
    assert card["questions"] >= 1024
    assert len({len(one["curve"]) for one in card["students"].values()}) == 1, "as many steps for each"
    assert sum(f.stat().st_size for f in bundled_checkpoint.FOLDER.iterdir()) < 6e6


def test_a_shipped_student_answers_and_lets_go(tmp_path: Path) -> None:
    """180 held-out questions of each kind: above 85 % right, other logits than the teacher's; off again, the teacher's."""
    p = settings.load(ROOT)
    folder = (tmp_path / models.TRAINED).parent
    bundled_checkpoint.copy(bundled_checkpoint.FOLDER, folder)
    bundled_students.copy(bundled_checkpoint.FOLDER, folder)
    engine = models.engine(tmp_path, p, "trained")
    some = digits.examples(180, 99, held_out=True)
    asked = [digits.batch(some, Kind.IMAGE, engine.host.adapter.image_tokens, rows=slice(0, 4))]
    base = engine.run(asked)

    for name in distillation.TAUGHT:
        with switch_on(name, engine):
            on = engine.run(asked)
            right = answer(engine, some).right
        assert {k: r.mean() > 0.85 for k, r in right.items()} == {Kind.IMAGE: True, Kind.TEXT: True}
        assert not same(base, on)
        assert (base.asked_byte, on.asked_byte) == (4 * 906_272, 4 * 692_960), "32 bits a weight, as the teacher is served"
    assert same(base, engine.run(asked))
    assert len(engine.host.layers) == 3


def test_students_of_another_model_or_recipe_are_refused(tmp_path: Path) -> None:
    """No card, other parameters, another teacher: refused, each with its reason and the remedy; a changed file is an error."""
    p = settings.load(ROOT)
    folder = (tmp_path / models.TRAINED).parent
    bundled_checkpoint.copy(bundled_checkpoint.FOLDER, folder)
    host = tiny.engine("llava", tmp_path).host

    def refused(p: Testbed) -> str:
        with pytest.raises(OutOfValidityError) as caught:
            student_files.taught(tmp_path / models.TRAINED, p.students)("logit_student", host)
        return str(caught.value)

    assert "no student was taught yet; `python -m tasks.checkpoint --students`" in refused(p)
    bundled_students.copy(bundled_checkpoint.FOLDER, folder)
    assert "other parameters than `students` in params/testbed.yaml" in refused(short(3))
    (folder / bundled_checkpoint.FILE).write_bytes((folder / bundled_checkpoint.FILE).read_bytes() + b"\0")
    assert "learned from another model than data/checkpoint/trained.safetensors" in refused(p)
    (folder / "logit_student.safetensors").write_bytes(b"\0")
    with pytest.raises(EvidenceError, match=r"logit_student.safetensors has hash \w{18}, its card says \w{18}"):
        bundled_students.copy(folder, tmp_path / "target")


def test_a_model_of_the_users_own_has_no_student(tmp_path: Path) -> None:
    """Nobody taught one: refused by name, with the reason."""
    engine = tiny.engine("llava", tmp_path)
    engine.student_provider = students.nobody("students are taught of the trained model only")

    with pytest.raises(OutOfValidityError, match="no student of this model; students are taught of the trained model only"):
        switch_on("logit_student", engine)


def test_one_student_at_a_time(tmp_path: Path) -> None:
    """Two students cannot be served at once: the second is refused by both names."""
    engine = tiny.engine("llava", tmp_path)

    with (
        switch_on("logit_student", engine),
        pytest.raises(OutOfValidityError, match="'attention_student' and 'logit_student' both want 'student'"),
    ):
        switch_on("attention_student", engine).__enter__()


def test_a_student_comes_before_what_is_done_to_its_weights() -> None:
    """Weight 2: the student's is 3, half of it is cut, then it is squared: 2.25; other orders give 2, 2.5, 3, 4 or 4.5."""
    serving = ServingConfig(layout=Mapped(), student=students.Student("pupil", 1, lambda t: {k: w + 1 for k, w in t.items()}))
    serving.reshape_hooks["a_cut"] = lambda t: {k: w / 2 for k, w in t.items()}
    serving.storage_hooks["a_square"] = lambda t: {k: w**2 for k, w in t.items()}

    assert serving.store({"w": torch.tensor(2.0)})["w"].item() == 2.25
    assert serving.stored_name() == "mapped+pupil+a_cut+a_square"


def test_layers_are_back_after_an_error(tmp_path: Path) -> None:
    """A session that fails leaves the very same modules in their places."""
    host = tiny.engine("llava", tmp_path).host
    before = list(host.layers)

    def fail() -> None:
        with students.shortened(host.layers, students.Student("one", 1, dict)):
            raise ZeroDivisionError("one layer" if len(host.layers) == 1 else "all")

    with pytest.raises(ZeroDivisionError, match="one layer"):
        fail()
    assert all(a is b for a, b in zip(host.layers, before, strict=True))


def test_teaching_writes_a_card_with_the_fair_baseline(tmp_path: Path) -> None:
    """Three steps: answers of all three students and their paired differences in the card, no file of the fair baseline."""
    p = short(3)
    few = p.model_copy(update={"trained": p.trained.model_copy(update={"held_out": 64})})
    folder = (tmp_path / models.TRAINED).parent
    bundled_checkpoint.copy(bundled_checkpoint.FOLDER, folder)

    bundled_students.teach(tmp_path, few, lambda _: None)

    card = json.loads((folder / student_files.CARD).read_text())
    assert set(card["students"]) == set(bundled_students.ALL)
    assert card["students"]["hard_student"]["against_hard_student"]["change"] == 0
    assert all(-1 <= one["against_the_teacher"]["low"] <= 0.1 for one in card["students"].values())
    assert sorted(f.name for f in folder.glob("*student.safetensors")) == [
        "attention_student.safetensors",
        "logit_student.safetensors",
    ]
