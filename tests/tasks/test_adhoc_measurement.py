"""Cells as a person names them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deltastack.errors import UnknownNameError
from tasks import adhoc_measurement

ROOT = Path(__file__).parents[2]


def words(switch: Any) -> tuple[str, str]:
    """Which technique a switch is of, and with which values."""
    return switch.keywords["technique"].name, repr(switch.keywords["params"])


@pytest.mark.parametrize("name", ["instruction_set+idle", "idle+instruction_set"])
def test_the_order_of_layers_in_a_cell_is_free(name: str) -> None:
    """A cell is a set: both orders switch the same."""
    found = adhoc_measurement._switches(ROOT, name)
    assert found
    assert [words(s) for s in found] == [words(s) for s in adhoc_measurement._switches(ROOT, "idle+instruction_set")]


@pytest.mark.parametrize("name", ["nobody", "idle+nobody", "idle/nobody", "+", "base+idle"])
def test_what_is_no_cell_is_refused(name: str) -> None:
    """With what there is."""
    with pytest.raises(UnknownNameError):
        adhoc_measurement._switches(ROOT, name)
