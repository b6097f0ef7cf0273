"""What the measured stages share: the setup of this checkout, the effort that the stack asks for, words beside a table."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any

from deltastack import params
from deltastack.contracts import QUALITY, WORKLOAD, atomic
from deltastack.evaluation import testbed_cells
from deltastack.layers import techniques
from deltastack.stack import Stack
from tasks import testbed_tables

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from deltastack.layers.technique import Layer
    from deltastack.layers.techniques import ConfiguredTechnique
    from deltastack.testbed.bench import Cells, Setup
    from deltastack.testbed.measure_cells import Effort, Measured
    from deltastack.testbed.settings import Testbed
    from deltastack.testbed.vlm.engine import Engine

log = logging.getLogger("deltastack.tasks")
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def one_thread() -> None:
    """Before torch is imported, here or in a process start: no ambient threads.

    Raises:
        PreflightError: The testbed's packages are not installed.
    """
    testbed_tables.require()
    for name in ONE_THREAD:
        os.environ[name] = "1"


def stack(root: Path) -> Stack:
    """params/stack.yaml.

    Raises:
        ParamsError: It does not hold.
    """
    return params.load(root / "params" / "stack.yaml", Stack)


def setup(root: Path, settings: Testbed, cells: Cells) -> Setup:
    """The bench of this checkout; the share of text requests is the workload's.

    Raises:
        ContractError: No workload, or a broken one.
    """
    from deltastack.testbed.bench import Setup

    frame = WORKLOAD.read(root / "data" / "workload.parquet")
    return Setup(root=root, settings=settings, text_share=float((frame["images"] == 0).mean()), cells=cells)


def chosen(root: Path, layers: list[Layer]) -> dict[str, tuple[ConfiguredTechnique, ...]]:
    """Central values of every technique of ``layers``."""
    return {layer.name: techniques.chosen(root, layer) for layer in layers}


def switches(
    engine: Engine, techniques: Mapping[str, tuple[ConfiguredTechnique, ...]], *, entered: bool
) -> dict[str, frozenset[str]]:
    """By layer, the techniques that have a switch on the testbed; with ``entered``, only those that this host takes."""
    return {name: testbed_cells.with_switch(engine, some, entered=entered) for name, some in techniques.items()}


def effort(settings: Testbed, level: str, *, joint: bool) -> Effort:
    """What an effort allows to spend."""
    from deltastack.testbed.measure_cells import Effort

    plan, budget = settings.measuring, settings.budget(level)
    return Effort(
        starts=budget.starts,
        budget_s=budget.joint_s if joint else budget.layer_s,
        block_pairs=plan.block_pairs,
        half_width=plan.half_width,
        seed=plan.seed,
    )


def quality(engine: Engine, at: Setup, measured: Measured, *, subject: Mapping[str, str], questions: int) -> pd.DataFrame:
    """What every cell of ``subject`` does to the answers, beside the base."""
    from deltastack.testbed import bench
    from deltastack.testbed.quality_eval import Assessor
    from deltastack.testbed.vlm import digits, models, requests

    p = at.settings
    possible, _ = bench.possible(engine, at.cells)
    session = requests.batches(engine.host, p.session, text_share=at.text_share, trained=p.profile == "trained")
    assessor = Assessor(
        trained=models.engine(at.root, p, "trained"),
        questions=digits.examples(questions, p.trained.seed, held_out=True),
        measured=engine,
        session=session,
        host=measured.host,
        canonical=stack(at.root).canonical,
    )
    rows = assessor.rows(possible, {c: s for c, s in subject.items() if c in possible})
    return QUALITY.frame(rows)


def starts_of(measured: Measured, settings: Testbed) -> dict[str, Any]:
    """What a start takes, apart from serving, and when each cell has earned its own back; empty where none was read."""
    from deltastack.experiment import starts

    found = starts.of_entries(measured.entries, settings.session.start_serves)
    return {} if found is None else {"loading": found.plain()}


def tell(path: Path, measured: Measured, facts: dict[str, Any]) -> None:
    """Write beside a table how the experiment went, and say what has no row."""
    words = facts | {
        "stopped": measured.stopped,
        "runs": len(measured.entries),
        "refused": [{"technique": name, "reason": reason} for name, reason in measured.refused.items()],
    }
    with atomic(path) as part:
        part.write_text(json.dumps(words, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    log.info("%d runs: %s", len(measured.entries), measured.stopped)
