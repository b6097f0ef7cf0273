"""Tables of an earlier version of their contract, brought to the one of today while they are read.

An upgrade exists where no number changes its meaning: a column got another name, or a new one holds its default in every old
row. Measured tables have one, for nobody can make them again elsewhere. Any other old table is refused with its remedy.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read when the module is made
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deltastack.contracts.column import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """From version ``since`` to the next: columns with another name, and new ones with their default."""

    since: int
    renamed: Mapping[str, str] = field(default_factory=dict)
    added: tuple[str, ...] = ()

    def apply(self, table: pa.Table, columns: Iterable[Column], stamp: str) -> pa.Table:
        """``table`` with the names, the new columns and the stamp of the version after ``since``; other columns stay as they are.

        What does not fit stays as it is: the contract's check names it.
        """
        mine = {c.name: c for c in columns}
        fields, arrays = [], []
        for old, values in zip(table.schema, table.columns, strict=True):
            name = self.renamed.get(old.name, old.name)
            fields.append(old.with_name(name))
            arrays.append(values)
        for name in (n for n in self.added if n not in table.schema.names):
            fields.append(mine[name].field())
            arrays.append(pa.chunked_array([pa.array([mine[name].default] * table.num_rows, mine[name].field().type)]))
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields, {"contract": stamp}))


def version_of(stamp: str, name: str) -> int | None:
    """The version in a table's stamp; None if it is no stamp of contract ``name``.

    >>> version_of("joint/1", "joint"), version_of("joint/x", "joint"), version_of("delta/1", "joint")
    (1, None, None)
    """
    head, _, tail = stamp.partition("/")
    return int(tail) if head == name and tail.isascii() and tail.isdigit() and len(tail) < 6 else None  # noqa: PLR2004 - digits
