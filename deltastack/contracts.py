"""The Parquet contracts: the only reader and writer of tables that cross a stage.

A contract names every column with its dtype, unit, bounds and whether a null may stand in
it, the key that must be unique, and the columns that must hold one single value (samples
of different hosts are never pooled). Writing is atomic: temporary file, fsync, rename.
Reading refuses a broken table and names *all* its breaches and the remedy.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from deltastack.errors import ContractError
from deltastack.model import Basis, Bench, Component, Evidence, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable

_TYPES = {
    "float64": pa.float64(),
    "int64": pa.int64(),
    "string": pa.string(),
    "bool": pa.bool_(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its dtype (float64, int64, string, bool), unit and bounds."""

    name: str
    dtype: str
    unit: str = "1"
    nullable: bool = False
    low: float | None = None
    high: float | None = None
    among: tuple[str, ...] = ()

    def field(self) -> pa.Field:
        """The Arrow field, unit in its metadata."""
        return pa.field(self.name, _TYPES[self.dtype], self.nullable, {"unit": self.unit})

    def breaches(self, values: pd.Series[Any]) -> list[str]:
        """What is wrong with ``values``, (rows,)."""
        found: list[str] = []
        absent = values.isna()
        if absent.any() and not self.nullable:
            found.append(f"{self.name}: {int(absent.sum())} nulls, first in row {_first(absent)}")
        present = values[~absent]
        if self.dtype in {"float64", "int64"}:
            found += self._number_breaches(present)
        strange = sorted(set(present.unique()) - set(self.among)) if self.among else []
        if strange:
            found.append(f"{self.name}: unknown {', '.join(map(repr, strange[:5]))}; allowed: {', '.join(self.among)}")
        return found

    def _number_breaches(self, present: pd.Series[Any]) -> list[str]:
        found = []
        number = present.astype("float64")
        for label, bad in (
            ("not finite", ~np.isfinite(number)),
            (f"below {self.low}", number < self.low if self.low is not None else number != number),  # noqa: PLR0124 - an all-False mask
            (f"above {self.high}", number > self.high if self.high is not None else number != number),  # noqa: PLR0124 - an all-False mask
        ):
            if bad.any():
                row = _first(bad)
                found.append(f"{self.name}: {int(bad.sum())} values {label}, first in row {row} ({present.iloc[row]})")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A table: columns in order, unique key, columns of one single value.

    ``remedy`` is the command that makes the table anew.
    """

    name: str
    version: int
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    single: tuple[str, ...] = ()
    remedy: str

    def schema(self) -> pa.Schema:
        """The Arrow schema with units and the contract's own name and version."""
        return pa.schema([c.field() for c in self.columns], {"contract": f"{self.name}/{self.version}"})

    def empty(self) -> pd.DataFrame:
        """A frame with the columns of this contract and no rows."""
        return _to_pandas(self.schema().empty_table())

    def frame(self, rows: Iterable[tuple[object, ...]]) -> pd.DataFrame:
        """Rows, in the order of the columns, as a checked frame.

        Raises:
            ContractError: The rows break the contract.
        """
        data = list(rows)
        arrays = [pa.array([r[i] for r in data], c.field().type) for i, c in enumerate(self.columns)]
        frame = _to_pandas(pa.table(arrays, schema=self._permissive()))
        return self.check(frame)

    def check(self, frame: pd.DataFrame, where: str = "") -> pd.DataFrame:
        """``frame`` itself, or a ContractError that names every breach.

        Raises:
            ContractError: Wrong columns, types, nulls, bounds, keys or mixed single values.
        """
        found = self._shape_breaches(frame)
        if not found:
            for column in self.columns:
                found += column.breaches(frame[column.name])
            found += self._row_breaches(frame)
        if found:
            raise ContractError(self._message(found, where))
        return frame

    def write(self, frame: pd.DataFrame, path: Path) -> None:
        """Write ``frame`` atomically; the file is whole or absent.

        Raises:
            ContractError: The frame breaks the contract; nothing is written.
        """
        self.check(frame, str(path))
        table = pa.Table.from_pandas(frame, schema=self.schema(), preserve_index=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as part:
            pq.write_table(table, part, compression="zstd")

    def read(self, path: Path) -> pd.DataFrame:
        """The table at ``path``.

        Raises:
            ContractError: No file, a truncated file, or any breach; all are named.
        """
        try:
            table = pq.read_table(path)
        except FileNotFoundError:
            raise ContractError(self._message([f"no such file: {path}"], str(path))) from None
        except (pa.ArrowException, OSError) as error:
            raise ContractError(self._message([f"not a readable Parquet file ({error})"], str(path))) from error
        found = self._unit_breaches(table.schema)
        if found:
            raise ContractError(self._message(found, str(path)))
        return self.check(_to_pandas(table), str(path))

    def _permissive(self) -> pa.Schema:
        return pa.schema([pa.field(c.name, c.field().type) for c in self.columns])

    def _shape_breaches(self, frame: pd.DataFrame) -> list[str]:
        want = [c.name for c in self.columns]
        have = [str(c) for c in frame.columns]
        found = [f"column '{c}' is missing" for c in want if c not in have]
        found += [f"column '{c}' is not in the contract" for c in have if c not in want]
        if not found and want != have:
            found.append(f"columns in another order: {', '.join(have)}; wanted: {', '.join(want)}")
        for c in self.columns:
            if c.name in have and (reason := _dtype_breach(frame[c.name], c)):
                found.append(reason)
        return found

    def _unit_breaches(self, schema: pa.Schema) -> list[str]:
        found = []
        tag = (schema.metadata or {}).get(b"contract", b"").decode()
        if tag != f"{self.name}/{self.version}":
            found.append(f"file is stamped '{tag or 'nothing'}', wanted '{self.name}/{self.version}'")
        for c in self.columns:
            if c.name in schema.names:
                unit = (schema.field(c.name).metadata or {}).get(b"unit", b"").decode()
                if unit != c.unit:
                    found.append(f"{c.name}: unit '{unit or 'none'}', wanted '{c.unit}'")
        return found

    def _row_breaches(self, frame: pd.DataFrame) -> list[str]:
        found = []
        if self.key:
            twice = frame.duplicated(list(self.key))
            if twice.any():
                row = _first(twice)
                value = ", ".join(f"{k}={frame[k].iloc[row]!r}" for k in self.key)
                found.append(f"{int(twice.sum())} duplicate keys ({', '.join(self.key)}), first in row {row}: {value}")
        for name in self.single:
            values = sorted(map(str, frame[name].dropna().unique()))
            if len(values) > 1:
                found.append(f"{name}: {len(values)} values in one table are never pooled: {'; '.join(values[:4])}")
        return found

    def _message(self, breaches: list[str], where: str) -> str:
        at = f" at {where}" if where else ""
        lines = "\n  - ".join(breaches)
        return f"table '{self.name}'{at} breaks its contract ({len(breaches)} breaches):\n  - {lines}\nTo mend it: {self.remedy}"


class atomic:  # noqa: N801 - a context manager that reads as a verb
    """A path to write to, renamed over ``path`` on success and removed on failure."""

    def __init__(self, path: Path) -> None:
        """Remember the final path."""
        self._path = path

    def __enter__(self) -> Path:
        """Create the temporary file beside the final one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{self._path.name}.", dir=self._path.parent)
        os.close(handle)
        self._part = Path(name)
        return self._part

    def __exit__(self, kind: object, *_: object) -> None:
        """Flush and rename, or remove."""
        if kind is not None:
            self._part.unlink(missing_ok=True)
            return
        with self._part.open("rb") as f:
            os.fsync(f.fileno())
        self._part.chmod(0o644)
        self._part.replace(self._path)


def _first(mask: pd.Series[bool]) -> int:
    return int(mask.to_numpy().nonzero()[0][0])


def _pandas_type(kind: pa.DataType) -> object:
    return {pa.int64(): pd.Int64Dtype(), pa.string(): pd.StringDtype(na_value=np.nan)}.get(kind)


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas(types_mapper=_pandas_type)
    return frame


def _dtype_breach(values: pd.Series[Any], column: Column) -> str | None:
    kind = values.dtype
    ok = {
        "float64": pd.api.types.is_float_dtype(kind),
        "int64": pd.api.types.is_integer_dtype(kind),
        "string": pd.api.types.is_string_dtype(kind) or bool(values.isna().all()),
        "bool": pd.api.types.is_bool_dtype(kind),
    }[column.dtype]
    return None if ok else f"{column.name}: dtype {kind}, wanted {column.dtype}"


def _text(name: str, *among: str, nullable: bool = False) -> Column:
    return Column(name=name, dtype="string", unit="text", among=among, nullable=nullable)


def _count(name: str, unit: str, low: float = 0, *, nullable: bool = False) -> Column:
    return Column(name=name, dtype="int64", unit=unit, low=low, nullable=nullable)


_BENCH = _text("bench", *Bench)
_COMPONENT = _text("component", *Component)
_RESOURCE = _text("resource", *Resource)
_BASIS = _text("basis", *Basis)
_EVIDENCE = _text("evidence", *Evidence)
_REASON = _text("reason", nullable=True)
_HOST = _text("host")
_CANONICAL = Column(name="canonical", dtype="bool", unit="flag")
_REPLICATE = _count("replicate", "index")


def _amount(name: str) -> Column:
    return Column(name=name, dtype="float64", unit="resource", nullable=True)


WORKLOAD = Contract(
    name="workload",
    version=1,
    columns=(
        _count("request", "index"),
        Column(name="arrival_s", dtype="float64", unit="s", low=0),
        _count("images", "image"),
        _count("image_tokens", "token"),
        _count("prompt_tokens", "token", 1),
        _count("output_tokens", "token", 1),
        _count("prefix_tokens", "token", nullable=True),
    ),
    key=("request",),
    remedy="dvc repro workload",
)
"""Requests in order of arrival. ``prompt_tokens`` counts all context tokens, the ``image_tokens`` among
them; ``prefix_tokens`` are leading tokens that an earlier request already brought (null: not known)."""

USAGE = Contract(
    name="usage",
    version=1,
    columns=(
        _BENCH,
        _BASIS,
        _REPLICATE,
        _COMPONENT,
        _RESOURCE,
        _amount("amount"),
        _EVIDENCE,
        _REASON,
        _HOST,
        _CANONICAL,
    ),
    key=("bench", "basis", "replicate", "component", "resource"),
    remedy="dvc repro baseline",
)
"""Amounts per request (fleet) or per session (testbed) with nothing switched. ``replicate`` numbers process
starts on the testbed and parameter draws on the fleet (0 is the central value)."""

DELTA = Contract(
    name="delta",
    version=1,
    columns=(
        _text("layer"),
        _text("technique"),
        _BENCH,
        _BASIS,
        _REPLICATE,
        _COMPONENT,
        _RESOURCE,
        _amount("base"),
        _amount("optimized"),
        _EVIDENCE,
        _REASON,
        _HOST,
        _CANONICAL,
    ),
    key=("layer", "technique", "bench", "basis", "replicate", "component", "resource"),
    single=("host",),
    remedy="dvc repro estimate@LAYER or measure@LAYER",
)
"""Base and optimized amounts of one layer. ``technique`` is a technique's name, or ``all`` for the layer with
every technique that params switch on."""

JOINT = Contract(
    name="joint",
    version=1,
    columns=(
        _text("cell"),
        _BENCH,
        _BASIS,
        _count("block", "index"),
        _count("position", "index"),
        _REPLICATE,
        _COMPONENT,
        _RESOURCE,
        _amount("amount"),
        _EVIDENCE,
        _REASON,
        _HOST,
        _CANONICAL,
    ),
    key=("cell", "bench", "basis", "block", "replicate", "position", "component", "resource"),
    single=("host",),
    remedy="dvc repro joint@BENCH",
)
"""The factorial: every run of every cell (``model.cell_name``), in the order it was run."""

TOTAL = Contract(
    name="total",
    version=1,
    columns=(
        _BENCH,
        _BASIS,
        _RESOURCE,
        _text("formula", "independent", "weighted", "by_component", "pairwise", "joint"),
        Column(name="delta", dtype="float64", unit="1", nullable=True, high=1),
        Column(name="lo", dtype="float64", unit="1", nullable=True, high=1),
        Column(name="hi", dtype="float64", unit="1", nullable=True, high=1),
        Column(name="gap", dtype="float64", unit="1", nullable=True),
        Column(name="gap_lo", dtype="float64", unit="1", nullable=True),
        Column(name="gap_hi", dtype="float64", unit="1", nullable=True),
        _text("verdict", "holds", "fails", "cannot be told", "truth"),
        _EVIDENCE,
        _REASON,
        _CANONICAL,
    ),
    key=("bench", "basis", "resource", "formula"),
    remedy="dvc repro aggregate",
)
"""Totals by formula beside the joint truth; gap = formula - joint, as a fraction."""
