"""What others published of the answers: by hand, exact techniques, figures of other values, cells, the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deltastack.contracts import QUALITY
from deltastack.errors import ParamsError
from deltastack.evaluation import published_quality
from deltastack.layers import LAYERS
from deltastack.layers.techniques import ConfiguredTechnique, chosen
from deltastack.model import Evidence

ROOT = Path(__file__).parents[2]


def technique(layer: str, name: str) -> ConfiguredTechnique:
    """One technique with its central values."""
    return next(t for t in chosen(ROOT, LAYERS[layer]) if t.name == name)


def found(layer: str, name: str) -> list[published_quality.Answer]:
    """What the file says of it."""
    return published_quality.of_technique(technique(layer, name))


def test_by_hand() -> None:
    """fp8, MMLU 0.6660 to 0.6627 on 14,042 questions: -0.0033 +- 1.96 sqrt((0.22244 + 0.22353) / 14042) = 0.01105."""
    mmlu = next(a for a in found("instruction_set", "low_precision") if a.metric == "accuracy_mmlu")

    assert (mmlu.change, mmlu.low, mmlu.high) == pytest.approx((-0.0033, -0.0033 - 0.01105, -0.0033 + 0.01105), abs=1e-5)
    assert mmlu.evidence is Evidence.PUBLISHED
    assert str(mmlu.reason).startswith("Meta-Llama-3-8B-Instruct: model card neuralmagic/")


def test_without_a_number_of_questions_there_is_no_interval() -> None:
    """2:4 on reasoning tests: 38.7 points lost, and no ends."""
    reasoning = next(a for a in found("instruction_set", "sparse_gemm") if a.metric == "accuracy_reasoning")

    assert reasoning.change == pytest.approx(-0.387)
    assert (reasoning.low, reasoning.high) == (None, None)
    assert "there is no interval" in str(reasoning.reason)


def test_a_figure_is_not_carried_to_other_values() -> None:
    """What was published of fp8 says nothing of nvfp4, and what was published of 2:4 nothing of 6:8."""
    fp8, sparse = technique("instruction_set", "low_precision"), technique("instruction_set", "sparse_gemm")

    for one, change in ((fp8, {"precision": "nvfp4"}), (sparse, {"kept": 6, "group": 8})):
        other = replace(one, params=one.params.model_copy(update=change))
        (answer,) = published_quality.of_technique(other)
        assert answer.change is None
        assert answer.reason == published_quality.NOT_PUBLISHED


def test_a_technique_that_nobody_read_about_is_null_with_its_reason() -> None:
    """The softmax approximation has no entry: no number, and never 0."""
    (answer,) = found("instruction_set", "softmax_approx")

    assert (answer.change, answer.reason) == (None, published_quality.NOT_PUBLISHED)


def test_cells() -> None:
    """With one technique that is not exact a cell has its answers; with none it changes nothing; with two nobody knows."""
    fp8, sparse = technique("instruction_set", "low_precision"), technique("instruction_set", "sparse_gemm")
    exact = technique("storage", "zns")
    rows = published_quality.cell_rows(
        {"storage": [exact], "instruction_set": [fp8]}, ["base", "storage", "instruction_set+storage"], canonical=True
    )
    both = published_quality.cell_rows({"instruction_set": [fp8, sparse]}, ["instruction_set"], canonical=True)
    table = QUALITY.frame(rows)

    assert set(table["subject"]) == {"storage", "instruction_set+storage"}
    assert table[table["subject"] == "storage"]["change"].tolist() == [0.0]
    assert set(table[table["subject"] == "instruction_set+storage"]["metric"]) == {
        a.metric for a in found("instruction_set", fp8.name)
    }
    assert both[0][6] is None
    assert both[0][10] == "low_precision and sparse_gemm change the answers, and nobody published both together"


@pytest.mark.parametrize("layer", ["storage", "chiplet", "pipeline", "instruction_set", "idle"])
def test_every_technique_of_the_fleet_has_a_row(layer: str) -> None:
    """Exact, published or null with its reason: the table keeps its contract and forgets no technique."""
    held = [t for t in chosen(ROOT, LAYERS[layer]) if t.on_fleet]
    table = QUALITY.frame(published_quality.technique_rows(layer, held, canonical=True))

    assert set(table["subject"]) == {f"{layer}/{t.name}" for t in held}


def test_a_file_that_does_not_hold_is_refused(tmp_path: Path) -> None:
    """An accuracy in percent is named with its place."""
    text = (ROOT / "params/layers/instruction_set.yaml").read_text()
    (tmp_path / "params/layers").mkdir(parents=True)
    (tmp_path / "params/layers/instruction_set.yaml").write_text(text.replace("base: 0.6660", "base: 66.6"))

    with pytest.raises(ParamsError, match=r"layers/instruction_set\.yaml: .*quality.*base: Input should be less than"):
        chosen(tmp_path, LAYERS["instruction_set"])


def test_the_file_of_before_is_refused(tmp_path: Path) -> None:
    """A checkout that still has params/quality.yaml is told where its entries belong."""
    (tmp_path / "params").mkdir()
    (tmp_path / "params/quality.yaml").write_text("storage: {zns: exact}")

    with pytest.raises(ParamsError, match=r"params/quality\.yaml is no longer read; move each entry to `quality`"):
        chosen(tmp_path, LAYERS["storage"])
