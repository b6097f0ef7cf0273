"""The contracts: what is written comes back the same, and every breach is named at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from deltastack.contracts import DELTA, JOINT, SCENES, TOTAL, USAGE, WORKLOAD, Column, Contract
from deltastack.errors import ContractError
from deltastack.model import NO_SCENE
from tests import strategies

if TYPE_CHECKING:
    from pathlib import Path

ALL = (WORKLOAD, USAGE, DELTA, JOINT, SCENES, TOTAL)
REQUESTS = ((0, 0.0, 1, 100, 150, 20, None, None, None), (1, 2.5, 0, 0, 7, 9, 0, 0, 0))


def usage(**changed: object) -> tuple[object, ...]:
    """One sound row of USAGE with some values changed."""
    row = dict(zip([c.name for c in USAGE.columns], (*USAGE_ROW, NO_SCENE), strict=True))
    return tuple((row | changed).values())


USAGE_ROW = ("fleet", "at_trace", 0, "ffn", "energy_j", 3.5, "simulated", None, "simulation", True)


def arrow(frame: pd.DataFrame, contract: Contract) -> pa.Table:
    """``frame`` as a file of ``contract`` would hold it, without any check."""
    return pa.Table.from_pandas(frame, schema=contract.schema(), preserve_index=False)


def refused(contract: Contract, frame: pd.DataFrame) -> str:
    """The message with which ``frame`` is refused."""
    with pytest.raises(ContractError) as caught:
        contract.check(frame)
    return str(caught.value)


def test_by_hand(tmp_path: Path) -> None:
    """Two requests, one with an unknown prefix: the file holds the units, the frame holds a null and no zero."""
    WORKLOAD.write(WORKLOAD.frame(REQUESTS), tmp_path / "w.parquet")

    back = WORKLOAD.read(tmp_path / "w.parquet")
    schema = pq.read_schema(tmp_path / "w.parquet")
    assert back["arrival_s"].tolist() == [0.0, 2.5]
    assert back["prefix_tokens"].isna().tolist() == [True, False]
    assert back["prefix_tokens"].iloc[1] == 0
    assert schema.field("arrival_s").metadata[b"unit"] == b"s"
    assert schema.metadata[b"contract"] == b"workload/2"


@settings(deadline=None, max_examples=40)
@given(rows=strategies.usage_rows())
def test_round_trip(rows: list[tuple[object, ...]], tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is written comes back equal in values, dtypes, nulls and order; written again, the bytes are the same."""
    folder = tmp_path_factory.mktemp("round")
    frame = USAGE.frame(rows)

    USAGE.write(frame, folder / "a.parquet")
    back = USAGE.read(folder / "a.parquet")
    USAGE.write(back, folder / "b.parquet")

    pd.testing.assert_frame_equal(back, frame, check_exact=True)
    padded = [(*row, NO_SCENE) for row in rows]  # the last column has a default
    assert [tuple(None if v is pd.NA or v != v else v for v in r) for r in back.itertuples(index=False)] == padded  # noqa: PLR0124 - NaN of a text column
    assert (folder / "a.parquet").read_bytes() == (folder / "b.parquet").read_bytes()


def test_bytes_do_not_depend_on_how_pandas_holds_the_rows(tmp_path: Path) -> None:
    """The same rows with another index, and with numpy floats where nothing is null, give the same bytes."""
    frame = USAGE.frame([usage(), usage(replicate=1)])
    other = frame.astype({"amount": "float64"}).set_index(pd.Index([7, 3]))

    USAGE.write(frame, tmp_path / "a.parquet")
    USAGE.write(other, tmp_path / "b.parquet")

    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.parametrize("contract", ALL, ids=lambda c: c.name)
def test_empty_table(contract: Contract, tmp_path: Path) -> None:
    """A table without rows is sound and comes back with its columns."""
    contract.write(contract.empty(), tmp_path / "t.parquet")

    back = contract.read(tmp_path / "t.parquet")
    assert list(back.columns) == [c.name for c in contract.columns]
    assert len(back) == 0


def test_every_breach_is_named_with_the_remedy() -> None:
    """One frame with six faults: all six are in one message, and the way to mend it."""
    frame = USAGE.frame([usage(), usage(replicate=1)]).assign(host=None, extra=1)
    frame["amount"] = np.array([math.inf, math.nan])
    frame["component"] = ["ffn", "tail"]
    frame["replicate"] = [-1, 1]

    message = refused(USAGE, frame[[c for c in frame if c != "evidence"]])

    for words in (
        "(7 breaches)",
        "column 'evidence' is missing",
        "column 'extra' is not in the contract",
        "amount: 1 values are NaN, first in row 1 (nan); a missing amount is null",
        "amount: 1 values are infinite, first in row 0 (inf)",
        "component: unknown 'tail'; allowed: storage, encoder",
        "replicate: 1 values are below 0, first in row 0 (-1)",
        "host: 2 nulls, first in row 0",
        "To mend it: dvc repro baseline",
    ):
        assert words in message


def test_row_numbers_count_all_rows() -> None:
    """A breach behind a null is named by its row in the table, not by its place among the present values."""
    frame = WORKLOAD.frame(REQUESTS)
    frame["prefix_tokens"] = pd.array([None, -4], "Int64")

    assert "prefix_tokens: 1 values are below 0, first in row 1 (-4)" in refused(WORKLOAD, frame)


def test_nan_from_python_is_refused_null_is_taken() -> None:
    """None in a nullable column is a null; NaN is a computation that went wrong, however it comes in."""
    taken = USAGE.frame([usage(amount=None, reason="no counter")])

    assert taken["amount"].isna().tolist() == [True]
    with pytest.raises(ContractError, match="amount: 1 values are NaN"):
        USAGE.frame([usage(amount=math.nan)])
    assert "are NaN" in refused(USAGE, taken.assign(amount=np.array([math.nan])))


def test_nan_that_pandas_merged_into_null_lacks_a_reason() -> None:
    """Pandas turns 0/0 in a Float64 column into a null: the missing reason gives it away."""
    frame = USAGE.frame([usage(amount=0.0)])

    assert "amount: 1 nulls without a reason" in refused(USAGE, frame.assign(amount=frame["amount"] / frame["amount"]))


def test_nan_in_a_file_is_refused(tmp_path: Path) -> None:
    """A NaN that another program wrote into a nullable column does not become a null."""
    table = arrow(USAGE.frame([usage()]), USAGE)
    at = table.schema.get_field_index("amount")
    pq.write_table(table.set_column(at, table.schema.field("amount"), pa.array([math.nan])), tmp_path / "t.parquet")

    with pytest.raises(ContractError, match="amount: 1 values are NaN"):
        USAGE.read(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("contract", "row", "words"),
    [
        (USAGE, usage(amount=None), "amount: 1 nulls without a reason"),
        (USAGE, usage(amount=None, reason=" "), "amount: 1 nulls without a reason"),
        (USAGE, usage(reason="no counter"), "reason: 1 given although amount is there"),
        (DELTA, ("idle", "all", *USAGE_ROW[:5], 3.0, None, *USAGE_ROW[6:]), "base/optimized: 1 nulls without a reason"),
        (JOINT, ("base", "fleet", "at_trace", 0, 0, 0, "ffn", "energy_j", None, *USAGE_ROW[6:]), "amount: 1 nulls without"),
        (
            TOTAL,
            total := (
                "fleet",
                "at_trace",
                "time_s",
                "joint",
                0.1,
                0.0,
                None,
                None,
                None,
                None,
                "observed",
                "simulated",
                None,
                True,
                None,
                None,
            ),
            "hi",
        ),
        (TOTAL, (*total[:6], 0.2, None, None, None, "holds", *total[11:]), "gap/gap_lo/gap_hi: 1 nulls without a reason"),
    ],
)
def test_an_amount_is_missing_if_and_only_if_its_reason_is_given(contract: Contract, row: tuple[object, ...], words: str) -> None:
    """A null without a reason, or a reason beside an amount, is refused."""
    with pytest.raises(ContractError, match=words):
        contract.frame([row])


def test_the_joint_result_has_no_gap_and_a_total_may_have_a_caveat() -> None:
    """In TOTAL the gap of the joint result is null without a reason; a reason may explain a total that is there."""
    head = ("fleet", "at_trace", "time_s", "joint", 0.1, 0.0, 0.2, None, None, None)
    row = (*head, "observed", "simulated", "one draw", True, "range_of_draws", 1)

    assert len(TOTAL.frame([row])) == 1


def test_hosts_are_never_pooled() -> None:
    """Two hosts in one table of one bench are refused and both are named; one host a bench is sound."""
    fleet, testbed = usage(), usage(bench="testbed", host="cpu=A")

    assert len(USAGE.frame([fleet, testbed])) == 2
    with pytest.raises(ContractError, match=r"host: 2 values in testbed are never pooled: cpu=A; cpu=B"):
        USAGE.frame([fleet, testbed, usage(bench="testbed", replicate=1, host="cpu=B")])


def test_duplicate_key() -> None:
    """The second row of one key is refused by its number and its key."""
    with pytest.raises(
        ContractError, match=r"1 duplicate keys .*first in row 1: bench=fleet, operating_point=at_trace, replicate=0"
    ):
        USAGE.frame([usage(), usage(amount=9.0)])


def test_names_and_order_of_columns() -> None:
    """A renamed, a doubled and a misplaced column are told apart."""
    frame = WORKLOAD.frame(REQUESTS)

    renamed = refused(WORKLOAD, frame.rename(columns={"images": "pictures"}))
    doubled = refused(WORKLOAD, pd.concat([frame, frame[["images"]]], axis=1))
    assert "column 'images' is missing" in renamed
    assert "column 'pictures' is not in the contract" in renamed
    assert "column 'images' stands 2 times" in doubled
    assert "columns in another order" in refused(WORKLOAD, frame[frame.columns[::-1]])


@pytest.mark.parametrize(
    ("column", "values", "words"),
    [
        ("arrival_s", np.array([0, 1]), "arrival_s: dtype int64, wanted float64"),
        ("arrival_s", np.array([0, 1], "float32"), "arrival_s: dtype float32, wanted float64"),
        ("images", np.array([0.0, 1.0]), "images: dtype float64, wanted int64"),
        ("images", np.array([0, 1], "uint64"), "images: dtype uint64, wanted int64"),
        ("images", [True, False], "images: dtype bool, wanted int64"),
        ("images", ["0", "1"], "wanted int64"),
        ("arrival_s", np.array([0.0, np.nan]), "arrival_s: 1 values are NaN, first in row 1"),
        ("prompt_tokens", [0, 1], "prompt_tokens: 1 values are below 1, first in row 0"),
    ],
)
def test_dtypes_and_bounds(column: str, values: list[object], words: str) -> None:
    """A value of another type or outside the bounds is refused, never converted."""
    assert words in refused(WORKLOAD, WORKLOAD.frame(REQUESTS).assign(**{column: values}))


def test_text_columns_hold_text_only() -> None:
    """A number among words is refused, as a frame and as a row."""
    frame = USAGE.frame([usage()])

    assert "host: dtype object, wanted string" in refused(USAGE, frame.assign(host=pd.Series([3], dtype=object)))
    with pytest.raises(ContractError, match=r"host: .*wanted string"):
        USAGE.frame([usage(host=3)])


def test_rows_of_another_shape_or_type() -> None:
    """A short row, and numbers that are none, are refused by name."""
    with pytest.raises(ContractError, match="row 1 has 3 values, wanted 9"):
        WORKLOAD.frame([REQUESTS[0], (1, 2.0, 3)])
    with pytest.raises(ContractError, match=r"(?s)request: .*wanted int64.*arrival_s: .*wanted float64"):
        WORKLOAD.frame([("x", "y", 1, 100, 150, 20, None, None, None)])


def test_no_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    """A table that was never made is a ContractError that tells which stage makes it."""
    with pytest.raises(ContractError, match=r"(?s)no such file: .*w.parquet.*To mend it: dvc repro workload"):
        WORKLOAD.read(tmp_path / "w.parquet")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_truncated_file(share: float, tmp_path: Path) -> None:
    """A file cut anywhere is refused and the remedy is told."""
    path = tmp_path / "w.parquet"
    WORKLOAD.write(WORKLOAD.frame(REQUESTS), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])

    with pytest.raises(ContractError, match=r"(?s)not a readable Parquet file.*To mend it: dvc repro workload"):
        WORKLOAD.read(path)


def test_altered_byte(tmp_path: Path) -> None:
    """A flipped byte in a page is seen by its checksum."""
    path = tmp_path / "w.parquet"
    WORKLOAD.write(WORKLOAD.frame(REQUESTS), path)
    data = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(1)
    data[column.data_page_offset + column.total_compressed_size - 3] ^= 0xFF
    path.write_bytes(data)

    with pytest.raises(ContractError, match="not a readable Parquet file"):
        WORKLOAD.read(path)


def test_file_of_another_contract_version_unit_or_type(tmp_path: Path) -> None:
    """Stamp, unit and type are read from the file: milliseconds, a foreign stamp and float32 are all named at once."""
    table = arrow(WORKLOAD.frame(REQUESTS), WORKLOAD)
    fields = {f.name: f for f in table.schema}
    fields["arrival_s"] = fields["arrival_s"].with_metadata({"unit": "ms"})
    fields["images"] = pa.field("images", pa.float32(), metadata={"unit": "image"})
    pq.write_table(table.cast(pa.schema(list(fields.values()), {"contract": "workload/0"})), tmp_path / "t.parquet")

    with pytest.raises(ContractError) as caught:
        WORKLOAD.read(tmp_path / "t.parquet")

    for words in (
        "stamped 'workload/0', wanted 'workload/2'",
        "arrival_s: unit 'ms', wanted 's'",
        "images: type float, wanted int64",
    ):
        assert words in str(caught.value)
    assert str(tmp_path / "t.parquet") in str(caught.value)


def test_a_broken_frame_writes_nothing(tmp_path: Path) -> None:
    """The old table stays as it was when the new one is refused."""
    path = tmp_path / "w.parquet"
    WORKLOAD.write(WORKLOAD.frame(REQUESTS), path)
    before = path.read_bytes()

    with pytest.raises(ContractError, match="below 1"):
        WORKLOAD.write(WORKLOAD.frame(REQUESTS).assign(output_tokens=0), path)

    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["w.parquet"]


def test_nulls_in_a_file_where_none_may_stand(tmp_path: Path) -> None:
    """A null in a required column of a file is named as a null, not read as NaN or zero."""
    table = arrow(WORKLOAD.frame(REQUESTS), WORKLOAD)
    field = table.schema.field("arrival_s")
    open_field = pa.field("arrival_s", pa.float64(), nullable=True, metadata=field.metadata)
    pq.write_table(table.set_column(1, open_field, pa.array([0.0, None])), tmp_path / "t.parquet")

    with pytest.raises(ContractError, match="arrival_s: 1 nulls, first in row 1"):
        WORKLOAD.read(tmp_path / "t.parquet")


def test_units_stand_in_names() -> None:
    """A float column in seconds whose name does not say so is refused when the contract is written down."""
    with pytest.raises(ValueError, match="must end in '_s'"):
        Column(name="arrival", dtype="float64", unit="s")
