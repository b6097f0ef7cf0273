"""Tables of an earlier version: measured ones are upgraded without a changed number, others are refused with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deltastack.contracts import DELTA, JOINT, QUALITY, WORKLOAD, Contract
from deltastack.errors import ContractError
from deltastack.model import NO_SCENE

if TYPE_CHECKING:
    from pathlib import Path

ROWS = {
    "joint": ("idle", "testbed", "per_session", 0, 1, 0, "attention", "cpu_s", 1.25, "measured", None, "here", True),
    "delta": ("idle", "all", "testbed", "per_session", 0, "attention", "cpu_s", 2.5, 1.25, "measured", None, "here", True),
    "quality": ("testbed", "idle", "accuracy", 100, 0.9, 0.8, -0.1, -0.2, 0.0, "measured", None, "here", True),
}


def first_version(contract: Contract, path: Path, stamp: str = "1") -> pd.DataFrame:
    """A table as the first version wrote it, and what today's reader must find in it."""
    today = contract.frame([ROWS[contract.name]])
    table = pa.Table.from_pandas(today, schema=contract.schema(), preserve_index=False).drop_columns(["scene"])
    old = {"operating_point": "basis"}
    fields = [f.with_name(old.get(f.name, f.name)) for f in table.schema]
    schema = pa.schema(fields, {"contract": f"{contract.name}/{stamp}"})
    pq.write_table(pa.Table.from_arrays(table.columns, schema=schema), path, write_page_checksum=True)
    return today


@pytest.mark.parametrize("contract", [JOINT, DELTA, QUALITY], ids=lambda c: c.name)
def test_a_measured_table_of_the_first_version_is_upgraded(contract: Contract, tmp_path: Path) -> None:
    """Every number and word is the same, the scene is none, and what is written again has today's version."""
    wanted = first_version(contract, tmp_path / "old.parquet")

    found = contract.read(tmp_path / "old.parquet")

    pd.testing.assert_frame_equal(found, wanted, check_exact=True)
    assert found["scene"].tolist() == [NO_SCENE]
    contract.write(found, tmp_path / "new.parquet")
    assert pq.read_schema(tmp_path / "new.parquet").metadata[b"contract"] == f"{contract.name}/{contract.version}".encode()


def test_an_upgrade_does_not_mend_what_is_wrong(tmp_path: Path) -> None:
    """An old table that breaks the contract otherwise is refused by name."""
    first_version(JOINT, tmp_path / "old.parquet")
    table = pq.read_table(tmp_path / "old.parquet")
    pq.write_table(table.drop_columns(["cell"]), tmp_path / "old.parquet")

    with pytest.raises(ContractError, match="column 'cell' is missing"):
        JOINT.read(tmp_path / "old.parquet")


@pytest.mark.parametrize("stamp", ["0", "x", "", "999999999999", "²"])
def test_a_version_without_an_upgrade_is_refused_with_the_remedy(stamp: str, tmp_path: Path) -> None:
    """An unknown version is no first version."""
    first_version(JOINT, tmp_path / "old.parquet", stamp)

    with pytest.raises(ContractError, match=r"(?s)wanted 'joint/2'.*To mend it: dvc repro joint@SCENE or joint@BENCH"):
        JOINT.read(tmp_path / "old.parquet")


def test_a_table_of_a_newer_deltastack_says_so(tmp_path: Path) -> None:
    """It cannot be read by guess; the remedy is to update."""
    frame = WORKLOAD.frame([(0, 0.0, 1, 100, 150, 20, None, None, None)])
    table = pa.Table.from_pandas(frame, schema=WORKLOAD.schema(), preserve_index=False)
    pq.write_table(table.replace_schema_metadata({"contract": "workload/3"}), tmp_path / "new.parquet")

    with pytest.raises(ContractError, match="stamped 'workload/3', wanted 'workload/2': a newer deltastack wrote it, update"):
        WORKLOAD.read(tmp_path / "new.parquet")
