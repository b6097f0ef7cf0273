"""The outbox: one entry for one set of results, whole or absent, with what was true when they were made."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING

import pytest

from tasks import outbox

if TYPE_CHECKING:
    from pathlib import Path

URI = "http://127.0.0.1:1"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Results of a run: metrics, two tables, a page; the parameters that made them."""
    for name in ("data/joint", "data/delta/estimated/assistant", "reports/figures", "params"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "params" / "stack.yaml").write_text("layers: [idle]\neffort: default\n")
    (tmp_path / "params" / "layers").mkdir()
    (tmp_path / "params" / "layers" / "idle.yaml").write_text(
        "techniques: {sleep: {on: true, why: cheap, params: {timeout_s: {value: 2.5, low: 1, unit: s}}}}\n"
    )
    (tmp_path / "params" / "layers" / "storage.yaml").write_text("off: 1\n")
    (tmp_path / "params" / "workload.yaml").write_text("trace: null\nmix: {a: 1}\nimages: {tokens: 196}\n")
    (tmp_path / "params" / "cases.yaml").write_text("- id: a\n")
    metrics = {"delta_total": {"fleet": {"energy_j": {"joint": 0.1, "lo": None}}}, "canonical": True, "verdict": "holds"}
    (tmp_path / "reports" / "metrics.json").write_text(json.dumps(metrics))
    (tmp_path / "reports" / "report.html").write_text("<p>page</p>")
    (tmp_path / "data" / "total.parquet").write_bytes(b"total")
    (tmp_path / "data" / "delta" / "estimated" / "assistant" / "idle.parquet").write_bytes(b"idle")
    (tmp_path / "data" / "delta" / "estimated" / "assistant" / "gone.parquet").write_bytes(b"a layer that is off")
    return tmp_path


def test_one_set_of_results_is_one_entry(project: Path) -> None:
    """Put twice: one entry, one folder; the first one's time stays."""
    name = outbox.put(project)
    first = outbox.read(outbox.pending(project)[0])
    again = outbox.put(project)

    assert name == again
    assert [p.stem for p in outbox.pending(project)] == [name]
    assert outbox.read(outbox.pending(project)[0])["created"] == first["created"]


def test_the_key_is_the_content(project: Path) -> None:
    """Another table or other metrics are another set; the page and a layer that is off are not."""
    name = outbox.key(project)
    (project / "reports" / "report.html").write_text("<p>prettier</p>")
    (project / "data" / "delta" / "estimated" / "assistant" / "gone.parquet").write_bytes(b"changed")
    same = outbox.key(project)
    (project / "data" / "delta" / "estimated" / "assistant" / "idle.parquet").write_bytes(b"idle again")

    assert name == same
    assert name != outbox.key(project)


def test_an_entry_holds_numbers_words_and_files(project: Path) -> None:
    """Numbers are metrics, a null is none, words and flags are tags; files are copies that later runs cannot change."""
    name = outbox.put(project)
    (project / "data" / "total.parquet").write_bytes(b"later")
    entry = outbox.read(outbox.pending(project)[0])
    folder = project / ".run" / "outbox" / str(name)

    assert entry["metrics"] == {"delta_total.fleet.energy_j.joint": 0.1}
    assert entry["params"] == {
        "idle.sleep.on": "True",
        "idle.sleep.timeout_s": "2.5",
        "stack.layers": "idle",
        "stack.effort": "default",
        "workload.images.tokens": "196",
    }
    assert entry["tags"]["verdict"] == "holds"
    assert entry["tags"]["canonical"] == "true"
    assert entry["tags"]["source"] == "dvc"
    assert entry["layers"] == ["idle"]
    assert (folder / "data" / "total.parquet").read_bytes() == b"total"
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == [
        "data/delta/estimated/assistant/idle.parquet",
        "data/total.parquet",
        "params/cases.yaml",
        "params/layers/idle.yaml",
        "params/layers/storage.yaml",
        "params/stack.yaml",
        "params/workload.yaml",
        "reports/metrics.json",
        "reports/report.html",
    ]


def test_the_lock_is_tagged_only_if_it_records_these_results(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While aggregate runs, dvc.lock tells of older results: no tag. Afterwards, the flow's put adds it and its run id stays."""
    monkeypatch.setenv(outbox.FLOW_RUN, "run-1")
    lock = project / "dvc.lock"
    lock.write_text("md5: " + "0" * 32)
    outbox.put(project)
    before = outbox.read(outbox.pending(project)[0])["tags"]
    metrics = (project / "reports" / "metrics.json").read_bytes()
    lock.write_text("md5: " + hashlib.md5(metrics, usedforsecurity=False).hexdigest())
    monkeypatch.delenv(outbox.FLOW_RUN)
    outbox.put(project)
    after = outbox.read(outbox.pending(project)[0])["tags"]

    assert "dvc.lock.sha256" not in before
    assert after["dvc.lock.sha256"] == hashlib.sha256(lock.read_bytes()).hexdigest()
    assert (after["source"], after["prefect.flow_run_id"]) == ("prefect", "run-1")


def test_delivered_is_noted_by_address(project: Path) -> None:
    """One server has taken the results, another has not; the entry and its files are gone."""
    name = outbox.put(project)
    outbox.done(project, outbox.pending(project)[0], URI, "id-1")

    assert outbox.delivered(project, name, URI)
    assert not outbox.delivered(project, name, "http://127.0.0.1:2")
    assert not outbox.pending(project)
    assert not (project / ".run" / "outbox" / str(name)).exists()


def test_without_results_there_is_no_entry(tmp_path: Path) -> None:
    """No metrics.json: no key, nothing queued, nothing delivered."""
    assert outbox.put(tmp_path) is None
    assert not outbox.pending(tmp_path)
    assert not outbox.delivered(tmp_path, None, URI)


def test_numbers_that_are_not_finite_are_no_metrics() -> None:
    """NaN and both infinities are left out; zero stays."""
    assert outbox.numbers({"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0}) == {"d": 0.0}
