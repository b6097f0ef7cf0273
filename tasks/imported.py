"""Layers that were measured elsewhere: data/imported/LAYER.parquet, which the stage ``aggregate`` depends on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from deltastack import importers
from deltastack.contracts import IMPORTED
from deltastack.errors import InputError, UnknownNameError
from deltastack.layers import LAYERS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from deltastack.importers import Saved

FOLDER = "data/imported"
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def write(  # noqa: PLR0913 - one keyword a flag
    root: Path,
    layer: str,
    before: Sequence[Path],
    after: Sequence[Path],
    *,
    paired: bool = False,
    point: int | None = None,
    differs: Collection[str] = (),
) -> Path:
    """Read both sides and write the layer's table; an older one of that name is replaced.

    Args:
        root: The checkout.
        layer: What to call the layer.
        before: Results without the change, one a repeat.
        after: Results with it.
        paired: Whether the n-th before and the n-th after ran side by side.
        point: Which load point of a sweep, from 0.
        differs: Conditions in which the runs may differ, such as ``model``.

    Raises:
        InputError: A name that is none or one of ours, files that do not hold, one result twice, or unlike runs.
    """
    if not _NAME.fullmatch(layer):
        raise InputError(f"layer '{layer}': wanted small letters, digits and underscores, such as fp8_weights")
    if layer in LAYERS:
        raise InputError(f"layer '{layer}' is one of ours; wanted another name, such as fp8_weights")
    sides = [[run for path in side for run in importers.read(path, point=point)] for side in (before, after)]
    importers.refuse_unlike([run for side in sides for run in side], differs)
    importers.refuse_twice(*sides)
    path = root / FOLDER / f"{layer}.parquet"
    IMPORTED.write(importers.table(layer, *sides, paired=paired), path)
    return path


def layers(root: Path) -> tuple[str, ...]:
    """The layers that are there, by name."""
    return tuple(sorted(p.stem for p in (root / FOLDER).glob("*.parquet")))


def remove(root: Path, layer: str) -> Path:
    """Take a layer out; later reports know nothing of it.

    Raises:
        UnknownNameError: No such layer.
    """
    if layer not in layers(root):
        raise UnknownNameError(f"no imported layer '{layer}'; there are: {', '.join(layers(root)) or 'none'}")
    path = root / FOLDER / f"{layer}.parquet"
    path.unlink()
    return path


def savings(root: Path, confidence: float) -> list[Saved]:
    """What every imported layer says.

    Raises:
        ContractError: A table that breaks its contract.
    """
    tables = [IMPORTED.read(p) for p in sorted((root / FOLDER).glob("*.parquet"))]
    return [s for t in tables for s in importers.savings(t, confidence)]
