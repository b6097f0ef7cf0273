"""Faults of ``benchmarks/faults.py`` that every test run tries: the clock, a moved checkout, a silent Prefect server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import _faults_checkout, _faults_machine, _faults_servers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_the_clock_may_go_back(tmp_path: Path) -> None:
    """A run a year before the one that came first makes its tables, and the next one finds them."""
    assert _faults_machine.clock_back(tmp_path) is None


def test_a_checkout_may_be_moved_and_copied(tmp_path: Path) -> None:
    """Both go on, each with its own tables."""
    assert _faults_checkout.moved(tmp_path) is None


@pytest.mark.xdist_group("servers")
def test_a_prefect_server_that_is_well_and_then_never_answers(tmp_path: Path) -> None:
    """The run takes a server of its own."""
    assert _faults_servers.prefect(tmp_path, _faults_servers.well_then_silent) is None
