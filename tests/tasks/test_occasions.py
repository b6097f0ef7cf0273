"""The history of a measured bench: noted once, read back, kept to so many, apart by host and experiment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from deltastack.analysis.analysis import compute
from deltastack.contracts import USAGE
from deltastack.model import Bench, Component
from deltastack.outcomes import Formula
from deltastack.stack import Stack
from tasks import occasions
from tests.report.synthetic import joint

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.analysis.analysis import Analysis

TWO = {"storage": dict.fromkeys(Component, 0.8), "idle": dict.fromkeys(Component, 0.5)}
KEPT = 3


def measured(root: Path, day: int, *, key: str = "k", loud: tuple[str, ...] = ()) -> Analysis:
    """A run of the engine on that day, written down and noted."""
    path = root / "data/joint/engine.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"measured": f"2026-11-{day:02}", "experiment": key, "machine": {"loud": list(loud)}}))
    planted = joint(TWO, bench=Bench.ENGINE, samples=8, sd_log=0.01, seed=day)
    found = compute(
        stack=Stack(layers=tuple(TWO), tolerance=0.02, confidence=0.95, effort="default", runs_kept=KEPT),
        workload={},
        baseline=USAGE.empty(),
        deltas={},
        joint={Bench.ENGINE: planted},
        measured_at=occasions.read(root, KEPT),
    )
    occasions.note(root, found, KEPT)
    return found


def count(found: Analysis) -> int:
    """Quiet occasions behind the product's verdict."""
    repeated = found.factorials[0].totals[Formula.INDEPENDENT].repeated
    assert repeated is not None
    return repeated.occasions


def test_each_occasion_is_noted_once(tmp_path: Path) -> None:
    """Two days are two occasions, however often the report of a day is made; what was read comes back to the last digit."""
    assert [count(measured(tmp_path, day)) for day in (1, 1, 2, 2)] == [1, 1, 2, 2]

    (path,) = (tmp_path / occasions.FOLDER).glob("engine-*.jsonl")
    assert len(path.read_text().splitlines()) == 1 + 2
    here = measured(tmp_path, 2).factorials[0].totals[Formula.JOINT].repeated
    assert here is not None
    kept = json.loads(path.read_text().splitlines()[-1])
    assert kept["log"]["per_session.energy_j.joint"] == list(here.here)
    assert (kept["measured"], kept["host"], kept["starts"], kept["loud"]) == ("2026-11-02", "host", 8, [])


def test_the_newest_are_kept(tmp_path: Path) -> None:
    """Of five days three stay, and a sixth has them beside it."""
    assert [count(measured(tmp_path, day)) for day in range(1, 6)] == [1, 2, 3, 4, 4]

    (path,) = (tmp_path / occasions.FOLDER).glob("engine-*.jsonl")
    assert [json.loads(x)["measured"] for x in path.read_text().splitlines()[1:]] == ["2026-11-03", "2026-11-04", "2026-11-05"]


def test_a_loud_occasion_does_not_count(tmp_path: Path) -> None:
    """It is kept with its reason, and later runs do not go by it."""
    measured(tmp_path, 1, loud=("stolen time 9.0 %",))

    assert count(measured(tmp_path, 2)) == 1


def test_another_experiment_is_another_history(tmp_path: Path) -> None:
    """A key holds plan, parameters, code and host: what differs in one of them is never pooled."""
    measured(tmp_path, 1)

    assert count(measured(tmp_path, 2, key="another")) == 1
    assert len(list((tmp_path / occasions.FOLDER).glob("engine-*.jsonl"))) == 2


def test_tables_of_before_have_no_occasion(tmp_path: Path) -> None:
    """A table without its stamp is noted nowhere, and its bench is indicative."""
    found = measured(tmp_path, 1)
    (tmp_path / "data/joint/engine.json").write_text("{}")
    occasions.note(tmp_path, found, KEPT)

    (path,) = (tmp_path / occasions.FOLDER).glob("engine-*.jsonl")
    assert len(path.read_text().splitlines()) == 2
    assert occasions.read(tmp_path, KEPT)[Bench.ENGINE].loud is None
