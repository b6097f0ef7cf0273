"""What a further engine's run found reaches the page and the last lines of a run, and enters no total."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from deltastack.errors import EvidenceError
from deltastack.report.engine_runs import engine_run
from flows import summary
from tasks import aggregate, engines, outbox
from tests.report.project import finished

if TYPE_CHECKING:
    from pathlib import Path


def interval(delta: float, gap: float | None = None, verdict: str = "observed") -> dict[str, Any]:
    """One formula's row, ± 1 point."""
    ends = {"gap": gap, "gap_lo": None if gap is None else gap - 0.01, "gap_hi": None if gap is None else gap + 0.01}
    return {"delta": delta, "lo": delta - 0.01, "hi": delta + 0.01, "reason": None, "verdict": verdict} | ends


def findings() -> dict[str, Any]:
    """Two layers that save half each, and together 60 %: the product says 75 %."""
    cells = [{"cell": n, "delta": 0.5, "lo": 0.49, "hi": 0.51, "pairs": 2, "why": None} for n in ("storage", "batching")]
    return {
        "engine": "vllm_cpu",
        "title": "vLLM here",
        "quantity": "cpu_s",
        "layers": ["storage", "batching"],
        "techniques": {"storage": ["prefix_cache"], "batching": ["batch"]},
        "cells": [*cells, {"cell": "base@aa", "delta": 0.0, "lo": -0.01, "hi": 0.01, "pairs": 2, "why": None}],
        "formulas": [
            {"formula": "independent", **interval(0.75, 0.15, "fails")},
            {"formula": "pairwise", **interval(0.6), "delta": None, "reason": "a cell spends nothing"},
            {"formula": "joint", **interval(0.6)},
        ],
        "floor": {"lo": -0.01, "hi": 0.02, "pairs": 4},
        "quality": [{"subject": "storage", "metric": "accuracy", "n": 48, "base": 0.93, "value": 0.91}],
        "runs": 10,
        "blocks": 2,
        "stopped": "all blocks were run",
        "host": "a machine",
    }


def test_a_run_reaches_the_page_and_the_last_lines(tmp_path: Path) -> None:
    """Savings alone, the joint run, the product with its gap and verdict, the floor, the quality; totals stay as they were."""
    root = finished(tmp_path / "here")
    aggregate.run(root)
    totals = outbox.read(root / "reports/summary.json")["totals"]
    assert "Further engines" not in (root / "reports/report.html").read_text()

    engines.keep(root, "vllm_cpu", findings())
    aggregate.run(root)

    page = (root / "reports/report.html").read_text()
    part = page[page.index("Further engines") :]
    said = (
        "storage alone (prefix cache)",
        "+50.0 % [+49.0, +51.0]",
        "by the product rule",
        "+15.0 points [+14.0, +16.0]",
        ">fails<",
    )
    places = [part.index(words) for words in said]
    assert places == sorted(places)
    for words in (
        "not formed: a cell spends nothing",
        "A/A noise floor [-1.0, +2.0] % from 4 units",
        "base 93.0 %, fewest 91.0 %",
    ):
        assert words in part
    assert outbox.read(root / "reports/summary.json")["totals"] == totals
    line = "vLLM here, CPU time: 2 layers together +60.0 % [+59.0, +61.0], by the product +75.0 %, gap +15.0 points"
    assert any(one.startswith(line) for one in summary.sentences(root))


def test_an_experiment_without_a_factorial_says_so() -> None:
    """No layer had all its cells: no joint saving is made up, and no floor without a twin."""
    found = findings() | {"layers": [], "formulas": [], "floor": None, "quality": []}

    shown = engine_run(found)

    assert shown.rows == ()
    assert "no factorial, so no joint saving" in shown.sentence
    assert "no A/A twin, so no noise floor" in shown.notes


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"title": "x"})])
def test_a_file_of_another_form_is_named(tmp_path: Path, text: str) -> None:
    """With what to do."""
    path = tmp_path / engines.FOLDER / "mine.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)

    with pytest.raises(EvidenceError, match=r"data/engines/mine.json holds no findings .* run `deltastack engine run` again"):
        engines.shown(tmp_path)
