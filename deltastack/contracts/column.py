"""One column of a table: dtype, unit, bounds, and what is wrong with given values.

A null and a NaN are two things. A null says that nobody could read the amount (its reason
stands beside it); a NaN is a computation that went wrong, and is refused. pandas merges the
two in a numpy column, so a nullable float column holds its nulls as ``pd.NA`` in dtype
``Float64``; a NaN in a numpy ``float64`` column is a NaN.
"""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - read when the module is made
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TYPES = {
    "float64": pa.float64(),
    "int64": pa.int64(),
    "string": pa.string(),
    "bool": pa.bool_(),
}
_FILL = {"float64": 0.0, "int64": 0, "bool": False}
_MASKED: dict[str, Callable[..., Any]] = {
    "float64": pd.arrays.FloatingArray,
    "int64": pd.arrays.IntegerArray,
    "bool": pd.arrays.BooleanArray,
}
_UNITS_WITHOUT_SUFFIX = {"1", "resource"}
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its dtype, unit, bounds (both ends allowed) and allowed words."""

    name: str
    dtype: Literal["float64", "int64", "string", "bool"]
    unit: str = "1"
    nullable: bool = False
    low: float | None = None
    high: float | None = None
    among: tuple[str, ...] = ()
    default: object = None
    """What a row that ends before this column has in it; None: no row may."""

    def __post_init__(self) -> None:
        """Refuse a float column whose name does not end in its unit."""
        plain = self.dtype != "float64" or self.unit in _UNITS_WITHOUT_SUFFIX
        if not plain and not self.name.endswith(f"_{self.unit}"):
            raise ValueError(f"column '{self.name}' is in {self.unit}: its name must end in '_{self.unit}'")

    def field(self) -> pa.Field:
        """The Arrow field, unit in its metadata."""
        return pa.field(self.name, _TYPES[self.dtype], self.nullable, {"unit": self.unit})

    def has_type_of(self, field: pa.Field) -> bool:
        """Whether ``field`` of a file has the type of this column."""
        return bool(field.type == _TYPES[self.dtype])

    def file_breaches(self, field: pa.Field) -> list[str]:
        """Where the type or the unit of ``field``, as a file has it, is not the contract's."""
        unit = (field.metadata or {}).get(b"unit", b"").decode(errors="replace")
        found = [] if self.has_type_of(field) else [f"{self.name}: type {field.type}, wanted {_TYPES[self.dtype]}"]
        return found + ([] if unit == self.unit else [f"{self.name}: unit '{unit or 'none'}', wanted '{self.unit}'"])

    def series(self, values: pa.ChunkedArray) -> pd.Series[Any]:
        """``values``, (rows,), as pandas holds this column; a null stays apart from a NaN."""
        if self.dtype == "string":
            text: pd.Series[Any] = values.to_pandas(types_mapper=lambda _: pd.StringDtype(na_value=np.nan))
            return text
        if not self.nullable and not values.null_count:
            plain: pd.Series[Any] = values.to_pandas()
            return plain
        absent = values.is_null().to_numpy()
        data = values.fill_null(_FILL[self.dtype]).to_numpy()  # what stands under the mask is never read
        return pd.Series(_MASKED[self.dtype](data, absent))

    def dtype_breach(self, values: pd.Series[Any]) -> str | None:
        """Why pandas' dtype of ``values`` cannot hold this column, or None."""
        kind = values.dtype
        fits = {
            "float64": lambda: kind in {np.dtype("float64"), pd.Float64Dtype()},
            "int64": lambda: pd.api.types.is_signed_integer_dtype(kind),
            "string": lambda: pd.api.types.infer_dtype(values, skipna=True) in {"string", "empty"},
            "bool": lambda: pd.api.types.is_bool_dtype(kind),
        }[self.dtype]()
        return None if fits else f"{self.name}: dtype {kind}, wanted {self.dtype}"

    def breaches(self, values: pd.Series[Any]) -> list[str]:
        """What is wrong with ``values``, (rows,), of a dtype that fits."""
        if self.dtype in {"float64", "int64"}:
            return self._number_breaches(values)
        absent = values.isna().to_numpy(bool)
        return self._null_breaches(absent) + self._word_breaches(values[~absent])

    def _number_breaches(self, values: pd.Series[Any]) -> list[str]:
        number, absent = _numbers(values)
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        remedy = "; a missing amount is null (None, pd.NA), never NaN" if self.nullable else ""
        faults = (
            ("are NaN", np.isnan(number), remedy),
            ("are infinite", np.isinf(number), ""),
            (f"are below {low:g}", number < low, ""),
            (f"are above {high:g}", number > high, ""),
        )
        found = self._null_breaches(absent)
        for words, mask, more in faults:
            bad = mask & ~absent
            if bad.any():
                row = first(bad)
                found.append(f"{self.name}: {int(bad.sum())} values {words}, first in row {row} ({number[row]:g}){more}")
        return found

    def _null_breaches(self, absent: NDArray[np.bool_]) -> list[str]:
        if self.nullable or not absent.any():
            return []
        return [f"{self.name}: {int(absent.sum())} nulls, first in row {first(absent)}"]

    def _word_breaches(self, present: pd.Series[Any]) -> list[str]:
        strange = sorted(set(present.unique()) - set(self.among), key=repr) if self.among else []
        if not strange:
            return []
        more = f" and {len(strange) - _SHOWN} more" if len(strange) > _SHOWN else ""
        return [f"{self.name}: unknown {', '.join(map(repr, strange[:_SHOWN]))}{more}; allowed: {', '.join(self.among)}"]


def first(mask: NDArray[np.bool_]) -> int:
    """The row of the first True in ``mask``, (rows,)."""
    return int(mask.nonzero()[0][0])


def _numbers(values: pd.Series[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Numbers and the mask of nulls, both (rows,); a NaN in a numpy column is a number, not a null."""
    if isinstance(values.dtype, np.dtype):
        return values.to_numpy(float), np.zeros(len(values), bool)
    return values.to_numpy(float, na_value=0.0), values.isna().to_numpy(bool)
