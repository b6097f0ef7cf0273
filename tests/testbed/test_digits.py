"""Questions about grids of real digits: right answers, held-out scans, and packed sequences that do not leak."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from deltastack.testbed.learning.vlm_training import pack
from deltastack.testbed.vlm import digits
from deltastack.testbed.vlm.digits import QUESTIONS, TOKEN, WORDS
from deltastack.testbed.vlm.served_model import Kind


def words(tokens: np.ndarray) -> str:
    """Tokens as text."""
    return " ".join(WORDS[t] for t in tokens)


def test_answers_by_hand() -> None:
    """Of 7 2 / 0 9: B1 is 0, two are even, the largest is 9, the smallest 0, they sum to 18, two are above five."""
    shown = np.tile([7, 2, 0, 9], (6, 1))

    asked, answers = digits.ask(shown, np.arange(6), np.full(6, 2))

    assert [words(q) for q in asked] == ["at B1 ?", *(f"{q} all ?" for q in QUESTIONS[1:])]
    assert [words(a) for a in answers] == [f"7 2 0 9 {v}" for v in (0, 2, 9, 0, 18, 2)]
    assert words(digits.opening(shown, None)[0]) == "begin A1 7 A2 2 B1 0 B2 9"
    assert words(digits.opening(shown, 2)[0]) == "begin image image"


def test_a_grid_shows_its_scans_in_place() -> None:
    """A1 is the upper left quarter, B2 the lower right."""
    source, rows = digits.scans(held_out=True), np.array([[3, 5, 8, 13]])

    (grid,) = digits.grids(source, rows)

    assert np.array_equal(grid[:8, :8], source.images[3])
    assert np.array_equal(grid[:8, 8:], source.images[5])
    assert np.array_equal(grid[8:, 8:], source.images[13])


def test_no_scan_is_trained_on_and_held_out() -> None:
    """1,437 and 360 scans; the split is of scans, by number."""
    kept, held = digits.scans(held_out=False), digits.scans(held_out=True)

    assert (len(kept.labels), len(held.labels)) == (1437, 360)
    assert {s.tobytes() for s in kept.images}.isdisjoint(s.tobytes() for s in held.images)


def test_batches_are_the_same_questions_shown_and_told() -> None:
    """An image batch and a text batch of the same examples have the same questions and answers, and every kind occurs."""
    some = digits.examples(12, seed=3, held_out=True)

    shown, told = (digits.batch(some, k, 16) for k in (Kind.IMAGE, Kind.TEXT))

    assert torch.equal(shown.prompts[:, -3:], told.prompts[:, -3:])
    assert torch.equal(shown.answers, told.answers)
    assert (told.images, shown.images.shape) == (None, (12, 16, 16))
    assert sorted(some.kinds) == sorted(list(range(6)) * 2)


@settings(max_examples=20)
@given(st.integers(1, 5), st.integers(1, 6), st.one_of(st.none(), st.integers(1, 20)))
def test_a_packed_question_sees_the_grid_and_itself_only(n: int, questions: int, tokens: int | None) -> None:
    """Mask and positions are those of each question asked alone after the opening."""
    chance = np.random.default_rng(n)
    packed = pack(chance, chance.integers(0, 10, (n, 4)), questions, tokens)
    opened, each = 9 if tokens is None else tokens + 1, 3 + digits.ANSWER_TOKENS

    for q in range(questions):
        own = torch.arange(opened + q * each, opened + (q + 1) * each)
        seen = torch.cat([torch.arange(opened), own])
        alone = torch.ones(opened + each, opened + each, dtype=torch.bool).tril()
        assert torch.equal(packed.mask[seen][:, seen], alone)
        assert int(packed.mask[own].sum()) == int(alone[opened:].sum())
        assert torch.equal(packed.positions[seen], torch.arange(opened + each))
    assert len(packed.answer_at) == questions * digits.ANSWER_TOKENS
    assert bool((packed.sequence[:, packed.answer_at] >= TOKEN["0"]).all())
