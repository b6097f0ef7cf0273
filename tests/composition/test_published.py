"""Published cases: the product's prediction beside what was observed, and files that do not hold."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from deltastack.composition import gain_to_delta, interaction, published_gap, read_published
from deltastack.errors import ParamsError

OURS = Path(__file__).parents[2] / "params" / "published_compositions.yaml"
CASE = """
- id: a
  source: a paper
  conditions: one machine
  resource: time
  unit: s
  higher_is_better: false
  baseline: 10
  singles: {x: 8, y: 5}
  joint: 5
"""


def write(folder: Path, text: str) -> Path:
    """A file with ``text``."""
    path = folder / "cases.yaml"
    path.write_text(text)
    return path


def test_by_hand(tmp_path: Path) -> None:
    """10 s; 8 s and 5 s alone, 5 s together: 60 % predicted, 50 % observed, 10 points too much, β = ln 1.25."""
    (case,) = read_published(write(tmp_path, CASE))

    found = published_gap(case)
    assert found.singles == pytest.approx({"x": 0.2, "y": 0.5})
    assert found.predicted == pytest.approx(0.6)
    assert found.observed == pytest.approx(0.5)
    assert found.gap == pytest.approx(0.1)
    assert found.interaction == pytest.approx(math.log(1.25))
    assert found.interaction == pytest.approx(interaction(0.2, 0.5, 0.5))


def test_direction(tmp_path: Path) -> None:
    """As rates the same figures are losses: 10 to 8 per second costs 25 % more time, 10 to 5 costs 100 %."""
    (case,) = read_published(write(tmp_path, CASE.replace("false", "true")))

    found = published_gap(case)
    assert found.singles == pytest.approx({"x": -0.25, "y": -1.0})
    assert found.predicted == pytest.approx(1 - 1.25 * 2)
    assert found.observed == pytest.approx(-1.0)


def test_the_shipped_cases() -> None:
    """FP8 and pruning: 2.21x and 1.99x alone, 2.64x together, not 4.40x; 4-bit and speculation: 2.35x and 1.55x, 1.29x."""
    found = {case.id: published_gap(case) for case in read_published(OURS)}

    throughput, memory, llama = found.values()
    assert throughput.singles["fp8"] == pytest.approx(gain_to_delta(1323 / 598))
    assert throughput.predicted == pytest.approx(1 - 598**2 / (1323 * 1190))
    assert (round(throughput.predicted, 3), round(throughput.observed, 3)) == (0.773, 0.621)
    assert (round(memory.predicted, 3), round(memory.observed, 3)) == (0.624, 0.613)
    assert llama.predicted == pytest.approx(1 - (17.3 / 40.7) * (17.3 / 26.8))
    assert llama.observed == pytest.approx(1 - 17.3 / 22.3)
    assert all(f.gap > 0 for f in found.values())
    assert all(f.interaction > 0 for f in found.values())


def test_three_singles_are_composed_too(tmp_path: Path) -> None:
    """The product takes every single: 0.8 x 0.5 x 0.5 leaves 20 %."""
    (case,) = read_published(write(tmp_path, CASE.replace("y: 5}", "y: 5, z: 5}")))

    assert published_gap(case).predicted == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "found nothing; wanted a list of cases with id"),
        ("a: 1", "found dict; wanted a list"),
        ("[", "not YAML"),
        ("[]", "at least 1 item"),
        ("- 3", "case '0'"),
        (CASE.replace("baseline: 10", "baseline: 0"), "case 'a' baseline: Input should be greater than 0"),
        (CASE.replace("baseline: 10", "baseline: .nan"), "case 'a' baseline: Input should be"),
        (CASE.replace("baseline: 10", "baseline: fast"), "case 'a' baseline: Input should be a valid number"),
        (CASE.replace("  joint: 5\n", ""), "case 'a' joint: Field required"),
        (CASE.replace("{x: 8, y: 5}", "{x: 8}"), "case 'a' singles: Dictionary should have at least 2 items"),
        (CASE.replace("y: 5", "y: -5"), "case 'a' singles.y: Input should be greater than 0"),
        (CASE.replace("higher_is_better: false", "higher_is_better: maybe"), "case 'a' higher_is_better"),
        (CASE.replace("  unit: s\n", "  unit: s\n  colour: red\n"), "case 'a' colour: Extra inputs are not permitted"),
        (CASE + CASE, "id given twice: a"),
        ("- {id: a}", "baseline: Field required; case 'a' singles: Field required; case 'a' joint: Field required"),
    ],
)
def test_what_is_refused(text: str, words: str, tmp_path: Path) -> None:
    """A file that does not hold is named with its fault on one line; exit 2."""
    with pytest.raises(ParamsError) as caught:
        read_published(write(tmp_path, text))

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "cases.yaml") in str(caught.value)
    assert caught.value.exit_code == 2


def test_no_file(tmp_path: Path) -> None:
    """A path that is not there, a folder and a binary file are told by name."""
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    for path in (tmp_path / "none.yaml", tmp_path, tmp_path / "binary"):
        with pytest.raises(ParamsError, match="cannot be read"):
            read_published(path)
