"""What the report learns from the parameter files beside the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deltastack.errors import UnknownNameError
from deltastack.model import Bench
from tasks import aggregate
from tests.report.project import finished

if TYPE_CHECKING:
    from pathlib import Path


def test_only_techniques_that_are_on_and_were_observed_count_as_on(tmp_path: Path) -> None:
    """Of two that are on one was never simulated; then the other is off. A layer without a file is left out."""
    root = finished(tmp_path / "here")
    seen = str(aggregate.load(root).tables.deltas["storage/fleet"]["technique"].iloc[0])
    (root / "params/layers").mkdir()
    file = root / "params/layers/storage.yaml"
    file.write_text(f"techniques: {{{seen}: {{on: true}}, unseen: {{on: true}}}}")

    assert aggregate.load(root).enabled_techniques == {"storage": {Bench.FLEET: (seen,)}}
    file.write_text(f"techniques: {{{seen}: {{on: false}}}}")
    assert aggregate.load(root).enabled_techniques == {"storage": {Bench.FLEET: ()}}


def test_a_misspelt_layer_is_named_with_those_there_are(tmp_path: Path) -> None:
    """Before anything is said of tables that seem to lack it."""
    root = finished(tmp_path / "here")
    stack = root / "params/stack.yaml"
    stack.write_text(stack.read_text().replace("idle", "idel"))

    with pytest.raises(UnknownNameError, match="no layer 'idel'; there are: chiplet, distillation"):
        aggregate.load(root)
