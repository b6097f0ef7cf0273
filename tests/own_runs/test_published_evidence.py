"""The published cases: every figure recomputed, one command, and new cases that just work."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from deltastack.cli.main import main
from deltastack.errors import FactorialError
from deltastack.own_runs.published import read_evidence, tally
from deltastack.own_runs.published_text import brief, text
from deltastack.own_runs.technique_classes import technique_class

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "params/published"
OURS = [ROOT / "params/published_compositions.yaml", FOLDER]
PAIR = """
- id: mine
  hardware: one board
  model: m
  metric: tok/s
  higher_is_better: true
  base: 100
  a_alone: {name: fp8 weights, value: 125}
  b_alone: {name: eagle3, value: 200}
  together: 200
  source: me
  confidence: high
"""


def test_every_check_of_the_collection_is_what_we_compute() -> None:
    """Saving, gap and interaction stand beside each case, rounded: they are recomputed from the raw figures."""
    cases = {c["id"]: c for c in yaml.safe_load((FOLDER / "pairs.yaml").read_text())}
    for s in read_evidence([FOLDER / "pairs.yaml"]).pairs:
        check = cases[s.id]["check"]
        assert 100 * s.gap == pytest.approx(check["gap_points"], abs=0.051), s.id
        assert s.result.joint.delta == pytest.approx(check["observed"], abs=6e-5), s.id
        (interaction,) = s.result.interactions.values()
        assert interaction.value == pytest.approx(check["log_interaction"], abs=6e-4), s.id


def test_a_new_case_is_counted_with_its_class(tmp_path: Path) -> None:
    """125 and 200 of 100 save 20 % and 50 %: 60 % promised, 50 % seen, 10 points too much."""
    (tmp_path / "mine.yaml").write_text(PAIR)
    (tmp_path / "runs.csv").write_text("a,b,repeat,tok_s\n0,0,1,100\n1,0,1,125\n0,1,1,200\n1,1,1,200\n")
    found = read_evidence([tmp_path])
    t = found.classes()["quantized weights x speculation"]

    assert (t.count, t.off, t.too_much) == (1, 1, 1)
    assert t.median == pytest.approx(0.1)
    assert found.to_dict()["tables"]["runs.csv"][0]["gap"]["independent"]["delta"] == pytest.approx(0.1)
    with pytest.raises(FactorialError, match="case 'mine' stands in two files"):
        read_evidence([tmp_path, tmp_path / "mine.yaml"])
    with pytest.raises(FactorialError, match=r"no \.yaml or \.csv with cases"):
        read_evidence([])


def test_the_tally_by_hand() -> None:
    """+3, -1, -4 points at 2: two off, one each way; the median of 3, 1, 4 is 3."""
    t = tally([0.03, -0.01, -0.04], 0.02)

    assert (t.count, t.off, t.too_much, t.too_little) == (3, 2, 1, 1)
    assert (t.median, t.lowest, t.highest) == (0.03, -0.04, 0.03)


def test_pairwise_is_recommended_only_where_it_is_nearer(tmp_path: Path) -> None:
    """A stack of three in which nothing interacts but all three: the product and pairwise promise the same."""
    cells = {f"{m & 1}{m >> 1 & 1}{m >> 2 & 1}": 10 * 0.8 ** m.bit_count() for m in range(8)} | {"111": 9.0}
    case = {"id": "x", "metric": "s", "higher_is_better": False, "factors": ["a", "b", "c"], "cells": cells, "source": "me"}
    (tmp_path / "x.yaml").write_text(yaml.safe_dump([case]))
    found = read_evidence([tmp_path])

    assert not found.recommends_pairwise
    assert "is no better than the product" in " ".join(brief(found).split())
    assert "pairwise" in found.to_dict()
    assert read_evidence(OURS).recommends_pairwise


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """All shipped cases in one command, within 80 columns; the JSON holds each."""
    monkeypatch.chdir(ROOT)
    found = read_evidence(OURS)

    def call(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["deltastack", "published", *words])
        with pytest.raises(SystemExit):
            main()
        return capsys.readouterr().out

    assert call() == text(found) + "\n"
    assert max(map(len, text(found).splitlines())) <= 80
    answer = json.loads(call("--json"))
    assert answer["pairs"]["count"] == len(found.pairs) == 57
    assert len(answer["cases"]) == 66
    assert answer["pairwise"]["recommended"] is True


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("awq_w4a16_weights", "quantized weights"),
        ("fp8 checkpoint for bf16", "quantized weights"),
        ("fp8_kv_cache", "quantized KV cache"),
        ("kv cache q8_0", "quantized KV cache"),
        ("eagle3_k5", "speculation"),
        ("mtp n-max 2", "speculation"),
        ("max_num_seqs 64 for 8", "batching"),
        ("pruning to 7B", "pruning"),
        ("-sm tensor for -sm layer", "parallelism"),
        ("B200 (two dies) for H100", "other hardware"),
        ("torch.compile", "kernels"),
        ("first_block_cache rdt 0.12", "cache"),
        ("something else", "other"),
    ],
)
def test_classes(name: str, label: str) -> None:
    """A technique is known by the words of its name."""
    assert technique_class(name) == label
