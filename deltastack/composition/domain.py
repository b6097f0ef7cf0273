"""The domain of the formulas: what is refused, and in which words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import FormulaError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SUM_TOLERANCE = 1e-9
"""How far weights may be from 1 in sum: rounding of a double, not of a person."""
_SHOWN = 3


def numbers(values: ArrayLike, name: str, *, axes: int = 0) -> NDArray[np.float64]:
    """``values`` as floats with at least ``axes`` axes, none of them empty.

    Raises:
        FormulaError: Empty, too few axes, not a number, or not finite.
    """
    try:
        found = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FormulaError(f"{name}: wanted numbers of one shape, found {values!r} ({error})") from error
    if found.ndim < axes:
        raise FormulaError(f"{name}: wanted at least {axes} axes, found shape {found.shape}")
    if found.size == 0:
        raise FormulaError(f"{name}: none given; wanted at least one")
    refuse(name, found, ~np.isfinite(found), "wanted finite numbers; a missing reading is left out with its reason")
    return found


def savings(values: ArrayLike, name: str = "Δ", *, axes: int = 1) -> NDArray[np.float64]:
    """``values`` as savings: finite and at most 1.

    Raises:
        FormulaError: As ``numbers``, or a saving above 1.
    """
    found = numbers(values, name, axes=axes)
    refuse(name, found, found > 1, "a saving is at most 1 (everything); write 15 % as 0.15")
    return found


def shares(values: ArrayLike, name: str = "weights") -> NDArray[np.float64]:
    """``values`` as shares of a whole: not negative, and 1 in sum over the first axis.

    Raises:
        FormulaError: As ``numbers``, a negative share, or another sum.
    """
    found = numbers(values, name, axes=1)
    refuse(name, found, found < 0, "a share of the whole is not negative")
    total = np.atleast_1d(found.sum(axis=0))
    off = np.abs(total - 1) > SUM_TOLERANCE
    if off.any():
        raise FormulaError(
            f"{name}: they sum to {total[off][0]:.6g}, wanted 1; add the rest of the resource as a share with Δ = 0"
        )
    return found


def refuse(name: str, values: NDArray[np.float64], bad: NDArray[np.bool_], why: str) -> None:
    """Raise if any of ``bad``, of the shape of ``values``, naming the first values and their places.

    Raises:
        FormulaError: Some value is bad.
    """
    if not bad.any():
        return
    places = np.argwhere(bad)
    shown = ", ".join(f"{values[tuple(p)]:g}{_at(p)}" for p in places[:_SHOWN])
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    raise FormulaError(f"{name}: found {shown}{more}; {why}")


def aligned(weights: NDArray[np.float64], of: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both, with axes of length 1 at the end of the one without draws, so that they broadcast.

    Raises:
        FormulaError: Not one weight for each, or other draws.
    """
    axes: int = max(weights.ndim, of.ndim)
    first, second = (a.reshape(a.shape + (1,) * (axes - a.ndim)) for a in (weights, of))
    sizes: list[tuple[int, int]] = list(zip(first.shape, second.shape, strict=True))
    if len(first) != len(second) or any(n != m and 1 not in {n, m} for n, m in sizes):
        raise FormulaError(f"weights: shape {weights.shape} does not meet shape {of.shape}; wanted one weight for each")
    return first, second


def _at(place: NDArray[np.intp]) -> str:
    return f" at place {', '.join(str(int(i)) for i in place)}" if place.size else ""
