"""The fault of ``benchmarks/faults.py`` that every test run tries; a minute or two each, the others are tried there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import _faults_servers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.mark.xdist_group("servers")
def test_a_prefect_server_that_is_well_and_then_never_answers(tmp_path: Path) -> None:
    """The run takes a server of its own."""
    assert _faults_servers.prefect(tmp_path, _faults_servers.well_then_silent) is None
