"""A table's contract: how it is checked, written and read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from deltastack.contracts.column import first
from deltastack.contracts.files import atomic, ordinary
from deltastack.contracts.upgrade import Upgrade, version_of
from deltastack.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from deltastack.contracts.column import Column
    from deltastack.contracts.relation import Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A table: columns in order, unique key, relations between columns.

    ``remedy`` is the command that makes the table anew.
    """

    name: str
    version: int
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    relations: tuple[Relation, ...] = ()
    remedy: str
    upgrades: tuple[Upgrade, ...] = ()
    """Steps from earlier versions, oldest first; a version without one is refused."""

    def schema(self) -> pa.Schema:
        """The Arrow schema with units and the contract's own name and version."""
        return pa.schema([c.field() for c in self.columns], {"contract": self._stamp()})

    def empty(self) -> pd.DataFrame:
        """A frame with the columns of this contract and no rows."""
        return self._to_pandas(self.schema().empty_table())

    def frame(self, rows: Iterable[Sequence[object]]) -> pd.DataFrame:
        """Rows, in the order of the columns, as a checked frame; None is a null, NaN is refused.

        A row may end before the last columns if these have a default.

        Raises:
            ContractError: The rows break the contract.
        """
        defaults = [c.default for c in self.columns]
        least = max((n for n, c in enumerate(self.columns, start=1) if c.default is None), default=0)
        data = [[*row, *defaults[len(row) :]] if len(row) >= least else row for row in rows]
        wrong = [n for n, row in enumerate(data) if len(row) != len(self.columns)]
        if wrong:
            raise self._error([f"row {wrong[0]} has {len(data[wrong[0]])} values, wanted {len(self.columns)}"], "")
        arrays, found = [], []
        for n, column in enumerate(self.columns):
            try:
                arrays.append(pa.chunked_array([pa.array([row[n] for row in data], column.field().type)]))
            except (pa.ArrowException, OverflowError) as error:
                found.append(f"{column.name}: {error}, wanted {column.dtype}")
        if found:
            raise self._error(found, "")
        return self.check(self._to_pandas(pa.table(arrays, names=[c.name for c in self.columns])))

    def check(self, frame: pd.DataFrame, where: str = "") -> pd.DataFrame:
        """``frame`` itself, or a ContractError that names every breach.

        Raises:
            ContractError: Wrong columns, dtypes, nulls, NaN, bounds, keys or relations.
        """
        found = self._frame_breaches(frame)
        if found:
            raise self._error(found, where)
        return frame

    def write(self, frame: pd.DataFrame, path: Path) -> None:
        """Write ``frame`` atomically; the file is whole or absent, the same rows give the same bytes.

        Raises:
            ContractError: The frame breaks the contract; nothing is written.
        """
        self.check(frame, str(path))
        schema = self.schema()
        arrays = [pa.Array.from_pandas(frame[field.name], type=field.type) for field in schema]
        with atomic(path) as part:
            pq.write_table(pa.table(arrays, schema=schema), part, compression="zstd", write_page_checksum=True)

    def read(self, path: Path) -> pd.DataFrame:
        """The table at ``path``; one of an earlier version is brought to this one where there is an upgrade.

        Raises:
            ContractError: No file, a truncated or altered file, or any breach; all are named.
        """
        try:
            with pq.ParquetFile(ordinary(path), page_checksum_verification=True) as file:
                table = file.read()
        except FileNotFoundError:
            raise self._error([f"no such file: {path}"], str(path)) from None
        except (pa.ArrowException, OSError) as error:
            raise self._error([f"not a readable Parquet file ({error})"], str(path)) from error
        table = self._of_today(table)
        frame = self._to_pandas(table)
        found = self._file_breaches(table.schema) + self._frame_breaches(frame)
        if found:
            raise self._error(found, str(path))
        return frame

    def _of_today(self, table: pa.Table) -> pa.Table:
        """``table``, upgraded from its own version step by step."""
        for step in self.upgrades:
            if version_of(_stamp_of(table.schema), self.name) == step.since:
                table = step.apply(table, self.columns, f"{self.name}/{step.since + 1}")
        return table

    def _to_pandas(self, table: pa.Table) -> pd.DataFrame:
        mine = {c.name: c for c in self.columns}
        data: list[pd.Series[Any]] = [
            mine[f.name].series(values) if f.name in mine and mine[f.name].has_type_of(f) else values.to_pandas()
            for f, values in zip(table.schema, table.columns, strict=True)
        ]
        frame = pd.concat(data, axis=1) if data else pd.DataFrame()
        frame.columns = pd.Index(table.column_names)
        return frame

    def _frame_breaches(self, frame: pd.DataFrame) -> list[str]:
        have = [str(c) for c in frame.columns]
        named = [c for c in self.columns if have.count(c.name) == 1]
        unfit = {c.name: breach for c in named if (breach := c.dtype_breach(frame[c.name]))}
        wrong = {c.name: c.breaches(frame[c.name]) for c in named if c.name not in unfit}
        found = [*self._name_breaches(have), *unfit.values(), *(b for breaches in wrong.values() for b in breaches)]
        if wrong.keys() >= set(self.key):
            found += self._key_breaches(frame)
        sound = {name for name, breaches in wrong.items() if not breaches}
        for relation in self.relations:
            found += relation.breaches(frame) if sound.issuperset(relation.reads) else []
        return found

    def _name_breaches(self, have: list[str]) -> list[str]:
        want = [c.name for c in self.columns]
        found = [f"column '{c}' is missing" for c in want if c not in have]
        found += [f"column '{c}' is not in the contract" for c in have if c not in want]
        found += [f"column '{c}' stands {have.count(c)} times" for c in want if have.count(c) > 1]
        if not found and want != have:
            found.append(f"columns in another order: {', '.join(have)}; wanted: {', '.join(want)}")
        return found

    def _file_breaches(self, schema: pa.Schema) -> list[str]:
        stamp = _stamp_of(schema)
        newer = (version_of(stamp, self.name) or 0) > self.version
        remedy = ": a newer deltastack wrote it, update this one" if newer else ""
        found = [] if stamp == self._stamp() else [f"file is stamped '{stamp or 'nothing'}', wanted '{self._stamp()}'{remedy}"]
        named = [c for c in self.columns if schema.names.count(c.name) == 1]
        return found + [b for c in named for b in c.file_breaches(schema.field(c.name))]

    def _key_breaches(self, frame: pd.DataFrame) -> list[str]:
        twice = frame.duplicated(list(self.key)).to_numpy(bool)
        if not self.key or not twice.any():
            return []
        row = first(twice)
        value = ", ".join(f"{k}={frame[k].iloc[row]}" for k in self.key)
        return [f"{int(twice.sum())} duplicate keys ({', '.join(self.key)}), first in row {row}: {value}"]

    def _stamp(self) -> str:
        return f"{self.name}/{self.version}"

    def _error(self, breaches: list[str], where: str) -> ContractError:
        at = f" at {where}" if where else ""
        count = f"{len(breaches)} breach{'es' if len(breaches) > 1 else ''}"
        lines = "".join(f"\n  - {b}" for b in breaches)
        return ContractError(f"table '{self.name}'{at} breaks its contract ({count}):{lines}\nTo mend it: {self.remedy}")


def _stamp_of(schema: pa.Schema) -> str:
    return str((schema.metadata or {}).get(b"contract", b"").decode(errors="replace"))


def _names_of(breaches: list[str]) -> set[str]:
    """The columns that breaches speak of."""
    return {b.split(":", 1)[0] for b in breaches if ":" in b}
