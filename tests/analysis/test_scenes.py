"""The table scene x layer, from planted tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deltastack.analysis.scenes import lines, scene_rows
from deltastack.contracts import DELTA, SCENES, TOTAL
from deltastack.model import Bench, Component, Evidence, OperatingPoint, Resource
from deltastack.report.text.scenes import scene_lines

if TYPE_CHECKING:
    import pandas as pd

HEAD = (Bench.FLEET, OperatingPoint.AT_CAPACITY)


def delta(technique: str, *optimized: float) -> list[tuple[object, ...]]:
    """Rows of one technique of ``idle``: 10 J before, in each draw so many after."""
    return [
        ("idle", technique, *HEAD, n, Component.FFN, Resource.ENERGY_J, 10.0, x, Evidence.SIMULATED, None, "host", True)
        for n, x in enumerate(optimized)
    ]


def total(joint: float, product: float) -> pd.DataFrame:
    """The joint run, and the product with its gap."""
    head, rest = (*HEAD, Resource.ENERGY_J), ("simulated", "holds in 0 of 3 draws", True, "range_of_draws", 3)
    gap = product - joint
    return TOTAL.frame(
        [
            (*head, "independent", product, 0.0, 0.5, gap, -0.1, 0.1, "fails", *rest),
            (*head, "joint", joint, 0.0, 0.5, None, None, None, "observed", *rest),
        ]
    )


def table() -> pd.DataFrame:
    """A scene: sleep is on and saves 20 % (10 to 30), naps are off and cost 5 %, together 20 %; joint 15, product 20 %."""
    rows = DELTA.frame([*delta("sleep", 8.0, 9.0, 7.0), *delta("naps", 10.5, 10.5, 10.5), *delta("all", 8.0, 9.0, 7.0)])
    return SCENES.frame(scene_rows("mine", [rows], total(0.15, 0.20), {"idle": ("sleep",)}))


def test_rows_by_hand() -> None:
    """Each technique with its range and whether it is on; the layer; the joint run; the formula with its gap."""
    found = {(r["kind"], r["subject"]): r for r in table().to_dict("records")}
    assert set(found) == {
        ("technique", "idle/sleep"),
        ("technique", "idle/naps"),
        ("layer", "idle"),
        ("joint", "joint"),
        ("formula", "independent"),
    }
    sleep, naps = found["technique", "idle/sleep"], found["technique", "idle/naps"]
    assert (sleep["delta"], sleep["lo"], sleep["hi"]) == pytest.approx((0.2, 0.1, 0.3))
    assert (sleep["on"], naps["on"]) == (True, False)
    assert naps["delta"] == pytest.approx(-0.05)
    assert found["formula", "independent"]["gap"] == pytest.approx(0.05)


def test_one_line_a_scene() -> None:
    """The layer's saving, the joint one, the gap of 5 points and the verdict; another resource has no line."""
    (line,) = lines([table()])
    assert (line.scene, line.verdict) == ("mine", "fails")
    assert (line.layers["idle"].delta, line.joint.delta, line.gap) == pytest.approx((0.2, 0.15, 0.05))
    assert lines([table()], resources=(Resource.COST_USD,)) == []


def test_a_scene_without_a_joint_run_has_no_line() -> None:
    """Only what was run together can be held against the product."""
    whole = table()
    assert lines([whole[whole["kind"] != "joint"]]) == []


def test_lines_by_hand() -> None:
    """Two scenes have a line each, with the joint saving, the layer alone, the gap and the word; one scene alone has none."""
    (x,) = lines([table()])
    one = x._asdict() | {"layers": {n: c._asdict() for n, c in x.layers.items()}, "joint": x.joint._asdict()}
    assert scene_lines([one]) == []
    words = "15.0 % of energy together (idle +20.0 %); the product may not be used (gap +5.0 points, holds in 0 of 3 draws)"
    assert scene_lines([one, one | {"scene": "other"}]) == [
        f"scene mine, at capacity: +{words}",
        f"scene other, at capacity: +{words}",
    ]
