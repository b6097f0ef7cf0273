"""The address that opens at the totals: of the server that runs, or that the environment names, never with a secret."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import psutil
import pytest

from flows import service_state, tracking_page

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "/#/experiments/3/runs/abc/artifacts/totals.csv"


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tracking server is named."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_it_is_on_the_server_that_runs(tmp_path: Path) -> None:
    """With a server that lives and a run that was published; without either there is no address."""
    me = psutil.Process(os.getpid())
    service = service_state.Service("mlflow", me.pid, me.create_time(), "http://127.0.0.1:5123")
    service_state.save(tmp_path, [service])
    before = tracking_page.address(tmp_path)
    tracking_page.note(tmp_path, "3", "abc")
    there = tracking_page.address(tmp_path)
    service_state.save(tmp_path, [service._replace(started=1.0)])

    assert (before, there, tracking_page.address(tmp_path)) == (None, f"http://127.0.0.1:5123{PAGE}", None)


def test_a_server_that_is_named_goes_first_and_its_password_stays_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is printed and shown in Prefect, so it has no user and no password."""
    tracking_page.note(tmp_path, "3", "abc")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@mlflow.example:8443/team/")

    assert tracking_page.address(tmp_path) == f"https://mlflow.example:8443/team{PAGE}"


def test_a_database_is_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of results has no page until a server shows it."""
    tracking_page.note(tmp_path, "3", "abc")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///somewhere.db")

    assert tracking_page.address(tmp_path) is None
