"""Bundles: the same runs give the same bytes; a damaged, altered or hostile one is refused; what it says is what was planted."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deltastack import recording
from deltastack.contracts import JOINT
from deltastack.errors import ContractError, DeltastackError, EvidenceError, InputError, UnknownNameError
from deltastack.model import Bench, Resource
from deltastack.outcomes import Formula
from deltastack.report.context import ReportContext
from deltastack.report.html.page import html
from tasks import recorded
from tests.report.test_page import results

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "cpu=made for tests | device=llamacpp"
LEFT = {"base": 1.0, "base@aa": 1.0, "idle": 0.9, "storage": 0.8, "idle+storage": 0.75}
"""The share of the base that each cell takes: the product leaves 0.72, so it promises 3 points too much."""
HEAD: dict[str, Any] = {
    "bench": "engine",
    "host": HOST,
    "device": "llamacpp",
    "recorded_at": "2026-11-27T08:00:00Z",
    "versions": {"deltastack": "0.1.0"},
    "layers": ["idle", "storage"],
    "loud": [],
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight blocks of processor time with planted factors and a little noise."""
    noise = np.random.default_rng(1)
    rows = [
        (
            *(cell, "engine", "per_session", block, position, 0, "attention", "cpu_s"),
            *(left * float(np.exp(noise.normal(0, 1e-3))), "measured", None, HOST, True),
        )
        for block in range(8)
        for position, (cell, left) in enumerate(LEFT.items())
    ]
    path = tmp_path_factory.mktemp("tables") / "joint.parquet"
    JOINT.write(JOINT.frame(rows), path)
    return path


@pytest.fixture
def bundle(table: Path, tmp_path: Path) -> Path:
    """A whole bundle."""
    path = tmp_path / "mine.zip"
    recording.write(path, HEAD, {"tables/joint.parquet": table.read_bytes(), "params/engine.yaml": b"preset: llamacpp\n"})
    return path


def test_the_same_runs_give_the_same_bytes(bundle: Path, table: Path, tmp_path: Path) -> None:
    """No time of writing is in a bundle."""
    again = tmp_path / "again.zip"
    recording.write(again, HEAD, {"params/engine.yaml": b"preset: llamacpp\n", "tables/joint.parquet": table.read_bytes()})
    assert again.read_bytes() == bundle.read_bytes()


def test_a_bundle_says_what_was_planted(bundle: Path) -> None:
    """Alone 10 and 20 %, together 25 %, product 28 %: 3 points too much, which fails at a tolerance of 2."""
    (found,) = recording.outcomes(recording.read(bundle), tolerance=0.02, confidence=0.95)
    assert found.factorial.resource is Resource.CPU_S
    assert found.alone["idle"].value == pytest.approx(0.10, abs=2e-3)
    assert found.totals[Formula.JOINT].saving is not None
    assert found.totals[Formula.JOINT].saving.value == pytest.approx(0.25, abs=2e-3)
    assert found.totals[Formula.INDEPENDENT].gap is not None
    assert found.totals[Formula.INDEPENDENT].gap.value == pytest.approx(0.03, abs=3e-3)
    assert str(found.totals[Formula.INDEPENDENT].verdict) == "fails"
    assert found.floor is not None


def test_a_bundle_that_does_not_say_what_else_ran_is_indicative(table: Path, tmp_path: Path) -> None:
    """The same runs with a loud machine, or with none said, call nothing right or wrong."""
    for loud in (None, ["others used 1.50 processors"]):
        recording.write(tmp_path / "one.zip", HEAD | {"loud": loud}, {"tables/joint.parquet": table.read_bytes()})
        (found,) = recording.outcomes(recording.read(tmp_path / "one.zip"), tolerance=0.02, confidence=0.95)
        assert str(found.totals[Formula.INDEPENDENT].verdict) == "indicative"


def _repacked(bundle: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    with zipfile.ZipFile(bundle) as whole:
        parts = {n: whole.read(n) for n in whole.namelist()}
    change(parts)
    out = bundle.with_name("changed.zip")
    with zipfile.ZipFile(out, "w") as changed:
        for name, content in parts.items():
            changed.writestr(name, content)
    return out


def _manifest(**new: Any) -> Callable[[dict[str, bytes]], None]:
    def change(parts: dict[str, bytes]) -> None:
        parts["manifest.json"] = json.dumps(json.loads(parts["manifest.json"]) | new).encode()

    return change


def _part(name: str, content: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda parts: parts.update({name: content})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (_part("tables/joint.parquet", b"PAR1"), "was altered"),
        (_part("params/engine.yaml", b"preset: vllm    \n"), "was altered"),
        (_part("params/extra.yaml", b""), "not in its manifest"),
        (_part("../../evil.py", b""), "it has part"),
        (_part("tables/joint.pickle", b""), "it has part"),
        (lambda parts: parts.pop("params/engine.yaml"), "is missing"),
        (lambda parts: parts.pop("manifest.json"), r"no manifest\.json"),
        (_part("manifest.json", b"{"), "no JSON"),
        (_part("manifest.json", b'{"version": 1, "version": 1}'), "twice"),
        (_part("manifest.json", b"[" * 100_000), "no JSON"),
        (_manifest(version=2), "version"),
        (_manifest(strange=1), "strange"),
        (_manifest(recorded_at="yesterday"), "recorded_at"),
        (_manifest(layers=[]), "layers"),
    ],
    ids=range(14),
)
def test_an_altered_bundle_is_refused_in_one_line(bundle: Path, change: Callable[[dict[str, bytes]], None], word: str) -> None:
    """Every part is what the manifest says, and the manifest is what a manifest may be."""
    with pytest.raises(InputError, match=word) as refused:
        recording.read(_repacked(bundle, change))
    assert "\n" not in str(refused.value)


def test_a_bundle_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(bundle: Path) -> None:
    """300 MiB of zeros take 300 kB of zip."""
    out = bundle.with_name("bomb.zip")
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bomb,
        bomb.open("tables/joint.parquet", "w", force_zip64=True) as part,
    ):
        for _ in range(300):
            part.write(bytes(2**20))
    with pytest.raises(InputError, match="MiB unpacked"):
        recording.read(out)


def test_runs_of_another_host_are_refused(bundle: Path) -> None:
    """The manifest's host is the host of every row."""
    found = recording.read(_repacked(bundle, _manifest(host="another")))
    with pytest.raises(InputError, match="its manifest says"):
        recording.outcomes(found, tolerance=0.02, confidence=0.95)


def test_a_broken_table_is_refused_by_its_contract(tmp_path: Path) -> None:
    """Bytes with a right hash and a wrong table."""
    with pytest.raises(ContractError, match=r"tables/joint\.parquet"):
        recording.write(tmp_path / "x.zip", HEAD, {"tables/joint.parquet": b"PAR1"})


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_damage_is_accepted_or_raises_anything_else(bundle: Path, data: st.DataObject) -> None:
    """Flip a byte or cut the end anywhere: the same runs come out, or one refusal."""
    whole = bundle.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.booleans())
    damaged = (
        whole[:place] if cut else whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
    )
    path = bundle.with_name("damaged.zip")
    path.write_bytes(damaged)
    try:
        found = recording.read(path)
    except DeltastackError:
        return
    assert found.tables["joint"].equals(recording.read(bundle).tables["joint"])


def _checkout(root: Path, table: Path) -> Path:
    for name in ("dvc.yaml", "params/stack.yaml", "params/engine.yaml", "data/joint/engine.parquet"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / "dvc.yaml").touch()
    (root / "params/stack.yaml").write_text((Path(__file__).parents[2] / "params/stack.yaml").read_text())
    (root / "params/engine.yaml").write_text("preset: llamacpp\n")
    (root / "data/joint/engine.parquet").write_bytes(table.read_bytes())
    return root


def test_what_one_checkout_records_another_replays(table: Path, tmp_path: Path) -> None:
    """Twice the same bundle is kept once; it can be listed and removed."""
    here, there = _checkout(tmp_path / "here", table), _checkout(tmp_path / "there", table)
    written = recorded.record(here, Bench.ENGINE, tmp_path / "mine.zip")
    assert written.layers == ("idle", "storage")
    assert recorded.replay(there, tmp_path / "mine.zip").manifest == recorded.replay(there, tmp_path / "mine.zip").manifest
    assert [r.manifest.name for r in recorded.kept(there)] == [written.name]
    with pytest.raises(UnknownNameError, match=written.name):
        recorded.remove(there, "nobody")
    recorded.remove(there, written.name)
    assert recorded.kept(there) == ()


def test_what_was_not_measured_cannot_be_recorded(tmp_path: Path) -> None:
    """The simulated bench needs no recording; a bench without a table has none."""
    with pytest.raises(InputError, match="simulated"):
        recorded.record(tmp_path, Bench.FLEET, tmp_path / "x.zip")
    with pytest.raises(EvidenceError, match="not been measured"):
        recorded.record(tmp_path, Bench.TESTBED, tmp_path / "x.zip")


def test_the_page_shows_what_was_recorded_with_its_device_and_date(bundle: Path) -> None:
    """Beside this machine's results: together +25 %, the product +28 %; the host is a tooltip, as text."""
    found = recording.outcomes(recording.read(bundle), tolerance=0.02, confidence=0.95)
    page = html(results(), {}, context=ReportContext(recorded=found))
    part = page[page.index('id="recorded"') : page.index('class="trust"')]
    assert "llamacpp, 2026-11-27" in part
    assert HOST in part
    assert 'id="recorded"' not in html(results(), {})


def test_a_bundle_with_tables_of_the_first_version_is_read(table: Path, tmp_path: Path) -> None:
    """What somebody measured before scenes came still says the same."""
    old = pq.read_table(table).drop_columns(["scene"])
    names = ["basis" if n == "operating_point" else n for n in old.column_names]
    pq.write_table(old.rename_columns(names).replace_schema_metadata({"contract": "joint/1"}), tmp_path / "old.parquet")
    path = tmp_path / "old.zip"
    recording.write(path, HEAD, {"tables/joint.parquet": (tmp_path / "old.parquet").read_bytes()})

    pd.testing.assert_frame_equal(recording.read(path).tables["joint"], JOINT.read(table))


def test_a_bundle_of_a_newer_version_says_what_to_do(bundle: Path) -> None:
    """It is no guess: update, or have it recorded again."""
    with zipfile.ZipFile(bundle) as found:
        parts = {n: found.read(n) for n in found.namelist()}
    manifest = json.loads(parts["manifest.json"])
    parts["manifest.json"] = json.dumps(manifest | {"version": 2}).encode()
    with zipfile.ZipFile(bundle, "w") as again:
        for name, content in parts.items():
            again.writestr(name, content)

    with pytest.raises(InputError, match="a bundle of version 2, this deltastack reads 1: update deltastack"):
        recording.read(bundle)
