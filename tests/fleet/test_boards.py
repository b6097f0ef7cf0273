"""What follows the board: its memory as the driver counts it, the engine's token budget, and that nobody measured it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from deltastack import api
from deltastack.cli.main import main
from deltastack.fleet import accelerator
from deltastack.fleet.operators import roofline, tables_for

ROOT = Path(__file__).parents[2]
LOOP = {"closed_loop": 4, "prompt_tokens": 100, "output_tokens": 20, "draws": 1, "root": ROOT}


@pytest.mark.parametrize("name", accelerator.platforms(ROOT))
def test_memory_is_counted_in_mib(name: str) -> None:
    """Every board has a whole number of MiB, as nvidia-smi prints it."""
    assert accelerator.load(ROOT, name).memory_bytes % 2**20 == 0


@pytest.mark.parametrize(
    ("name", "tokens"), [("l40s", 2048), ("l4", 2048), ("a100_sxm", 2048), ("h100_sxm", 8192), ("h200_sxm", 8192)]
)
def test_the_budget_is_vllm_s_default_on_that_board(name: str, tokens: int) -> None:
    """Under 70 GiB, and on an A100 of any size, 2048 tokens a step; 8192 on others."""
    assert accelerator.load(ROOT, name).token_budget == tokens


def test_a_smaller_budget_leaves_more_room() -> None:
    """On 44.99 GiB a workspace of 8192 tokens takes the room that keys and values have with 2048; a flag says otherwise."""
    asked = {"platform": "l40s", "precision": "fp8", "model": "Qwen/Qwen3-VL-32B-Instruct"}
    own, flagged = api.simulate(**asked, **LOOP), api.simulate(**asked, token_budget=8192, **LOOP)

    assert (own["token_budget"], flagged["token_budget"]) == (2048, 8192)
    assert own["kv_capacity_tokens"] > 2 * flagged["kv_capacity_tokens"]
    assert f"room for {own['kv_capacity_tokens']:,} tokens of keys and values a replica" in str(own)


def test_a_platform_nobody_measured_says_so_first() -> None:
    """In the first line and in JSON, with how far such numbers were off; a measured platform says nothing of it."""
    guessed = api.simulate(platform="h100_pcie", **LOOP)
    said = "roofline only: nobody measured h100_pcie; measured serving takes 1.4 to 2 times as long"

    assert said in str(guessed).splitlines()[0]
    assert guessed["roofline_only"] == said
    measured = api.simulate(**LOOP)
    assert measured["roofline_only"] is None
    assert "roofline" not in str(measured)


@pytest.mark.parametrize("name", accelerator.platforms(ROOT))
def test_every_platform_without_a_table_is_a_roofline(name: str) -> None:
    """The words follow from the sources of the operator times, not from a list of names."""
    table = tables_for("meta-llama/Llama-3.1-8B-Instruct", accelerator.load(ROOT, "h100_sxm"), "bf16")
    assert roofline.words(table) is None
    if name in {"h100_pcie", "l4"}:
        assert roofline.words(tables_for(table.model, accelerator.load(ROOT, name), "bf16")) is not None


def test_estimate_says_it_too_and_keeps_reasons_out_of_the_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 80 columns no cell is cut; why the cost is not known stands below, once."""
    words = ["deltastack", "estimate", "storage", "--technique", "kv_tier", "--draws", "1"]
    words += ["--set", "deployment.platform=h100_pcie"]
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit):
        main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("roofline only: nobody measured h100_pcie")
    assert "…" not in "".join(lines)
    assert sum(line.startswith("not known: no price of h100_pcie") for line in lines) == 1
    monkeypatch.setattr(sys, "argv", [*words, "--json"])
    with pytest.raises(SystemExit):
        main()
    assert json.loads(capsys.readouterr().out)["roofline_only"].startswith("roofline only")
