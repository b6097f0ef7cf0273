"""Retention: what is older than the newest runs goes, everything newer, the results of today and what waits stay."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deltastack.cli.main import app
from deltastack.errors import ParamsError
from flows import dvc_adapter, retention, tidy_cache, tidy_prefect, tidy_tracking, tracking
from tasks import outbox, tidy
from tests.flows import nights
from tests.flows.tiny_project import expected

KEPT, NIGHTS = 3, 7


@pytest.fixture(scope="module")
def _past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = nights.make(tmp_path_factory.mktemp("past") / "tiny", KEPT)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("DVC_SITE_CACHE_DIR", str(root.parent / "site"))
        patch.chdir(root)
        nights.prefect(root, 0, NIGHTS)
        for day in range(NIGHTS):
            nights.night(root, day)
    return root


@pytest.fixture
def past(_past: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with seven nights behind it."""
    monkeypatch.setenv("PREFECT_HOME", str(_past / ".run/prefect"))
    monkeypatch.chdir(_past)
    return _past


@pytest.mark.slow
@pytest.mark.xdist_group("servers")
def test_seven_nights(past: Path) -> None:
    """A dry run removes nothing; then three nights stay in every store, the last ones can be restored, and twice is once."""
    told = CliRunner().invoke(app, ["tidy", "--json"])
    assert told.exit_code == 0, told.output
    dry = {s["store"]: s for s in json.loads(told.stdout)["stores"]}
    applied = {kept.store: kept for kept in retention.apply(past, print, dry=False)}
    again = {kept.store: kept for kept in retention.apply(past, print, dry=False)}

    old = NIGHTS - KEPT
    wanted = {
        tidy_cache.STORE: 8 * old,  # of each of four stages the table and the record of its run
        tidy_tracking.STORE: 2 * old,  # the set of results, and its layer
        tidy_prefect.STORE: old,
        ".run/history": 2 * old,  # its numbers, and who has taken them
        ".run/receipts": 4 * old,
        ".run/ledgers": old,
    }
    for found in ({n: s["dropped"] for n, s in dry.items()}, {n: k.dropped for n, k in applied.items()}):
        assert {n: count for n, count in found.items() if count} == wanted
    assert all(again[n].dropped == 0 and again[n].entries == applied[n].entries - wanted[n] for n in wanted)
    assert applied[tidy_tracking.STORE].freed > 0
    assert len(list((past / ".run/history").glob("*.json"))) == KEPT
    assert len(list((past / "mlartifacts").glob("*"))) == KEPT
    _restored(past)


def _restored(root: Path) -> None:
    """The tables of the last night and of the one before come from DVC's cache, without any stage."""
    for day in (NIGHTS - 1, NIGHTS - 2):
        (root / "params.yaml").write_text(f"n: {day}\n")
        for name in expected(day):
            (root / "data" / name).unlink()
        found = dvc_adapter.survey(root)
        for stage in "abcd":
            assert dvc_adapter.bring(found, stage, say=lambda _: None).outcome != "ran"
        assert {name: (root / "data" / name).read_text() for name in expected(day)} == expected(day)


def results(root: Path, joint: float) -> None:
    """Results that wait for their server."""
    (root / "reports").mkdir(parents=True, exist_ok=True)
    (root / "reports/metrics.json").write_text(json.dumps({"delta_total": {"fleet": {"energy_j": {"joint": joint}}}}))
    outbox.put(root)


def test_what_waits_is_never_dropped(tmp_path: Path) -> None:
    """Five sets of results that no server has taken outlive a retention of one, with their notes."""
    root = nights.make(tmp_path / "tiny", 1)
    for n in range(5):
        results(root, n / 10)

    found = {kept.store: kept for kept in tidy.files(root, 1, apply=True)}

    assert (found[".run/outbox"].entries, found[".run/outbox"].dropped) == (5, 0)
    assert "deltastack sync" in found[".run/outbox"].note
    assert len(outbox.pending(root)) == len(list((root / ".run/history").glob("*.json"))) == 5


def test_a_log_keeps_its_end_and_its_writer_goes_on(tmp_path: Path) -> None:
    """A log of 3 MiB is cut to its last; what its server writes then stands right behind, with no hole."""
    log = tmp_path / ".run/logs/worker.log"
    log.parent.mkdir(parents=True)
    with log.open("ab", buffering=0) as server:
        for n in range(3 * 2**20 // 16):
            server.write(f"line {n:10}\n".encode())
        tidy.files(tmp_path, 1, apply=True)
        server.write(b"the next\n")

    end = log.read_bytes()
    assert len(end) == tidy.LOG_BYTES + len(b"the next\n")
    assert end.endswith(f"line {n:10}\nthe next\n".encode())


def test_a_shared_cache_is_left_alone(tmp_path: Path) -> None:
    """A cache outside the checkout holds the tables of others."""
    root = nights.make(tmp_path / "tiny", 1)
    shared = tmp_path / "shared"
    (shared / "files/md5/aa").mkdir(parents=True)
    (shared / "files/md5/aa/bb").write_text("another's")
    (root / ".dvc/config").write_text(f"[core]\n    no_scm = true\n[cache]\n    dir = {shared}\n")

    kept = tidy_cache.cache(root, 1, apply=True)

    assert (kept.dropped, "shared" in kept.note) == (0, True)
    assert (shared / "files/md5/aa/bb").is_file()


def test_a_server_of_others_loses_this_checkouts_own_runs_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two checkouts share a tracking server; one keeps one night: the other's nights stay, its own old ones can be restored."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/server.db")
    roots = [nights.make(tmp_path / name, 1) for name in ("mine", "other")]
    for day, root in enumerate((*roots, *roots)):
        results(root, day / 10)
        tracking.deliver(root, lambda _: None)

    kept = tidy_tracking.runs(roots[0], 1, apply=True)

    client = tracking.client_of(roots[0])
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    left = [r.data.metrics for r in client.search_runs([experiment.experiment_id])]
    assert kept.dropped == 2  # its first night, and the run of its layer
    assert sorted(m["delta_total.fleet.energy_j.joint"] for m in left if m) == [0.1, 0.2, 0.3]
    assert "mlflow gc" in kept.note


def test_the_old_name_of_the_setting_says_the_new_one(tmp_path: Path) -> None:
    """A stack.yaml of before is refused with the name of today."""
    root = nights.make(tmp_path / "tiny", 1)
    path = root / "params/stack.yaml"
    path.write_text(path.read_text().replace("runs_kept", "occasions_kept"))

    with pytest.raises(ParamsError, match="occasions_kept is called runs_kept now"):
        tidy.most(root)


def test_the_nightly_run_tidies() -> None:
    """prefect.yaml's nightly deployment asks for it."""
    import yaml

    said = yaml.safe_load((Path(__file__).parents[2] / "prefect.yaml").read_text())
    assert {d["name"]: d["parameters"].get("tidy", False) for d in said["deployments"]} == {"nightly": True, "on-demand": False}
