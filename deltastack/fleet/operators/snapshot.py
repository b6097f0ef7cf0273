"""Operator tables as small files: one ``.npz`` a model, platform, precision and tensor parallelism; no pickle.

Times are stored as 32-bit floats (relative error below 1e-7), sources as bytes, the rest as text.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from deltastack.contracts import atomic
from deltastack.errors import EvidenceError
from deltastack.fleet.operators.tables import OperatorTables

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "deltastack-operators/1"
_PLAIN = ("sources", "provenance")


def name(model: str, platform: str, precision: str, tensor_parallel: int) -> str:
    """The file name of a snapshot.

    >>> name("Qwen/Qwen3-VL-8B-Instruct", "h100_sxm", "bf16", 1)
    'Qwen--Qwen3-VL-8B-Instruct__h100_sxm__bf16__tp1.npz'
    """
    return f"{model.replace('/', '--')}__{platform}__{precision}__tp{tensor_parallel}.npz"


def save(tables: OperatorTables, path: Path) -> None:
    """Write ``tables`` whole or not at all; equal tables give equal bytes."""
    arrays: dict[str, Any] = {}
    text: dict[str, Any] = {"format": FORMAT, "provenance": dict(tables.provenance)}
    for field in fields(tables):
        value = getattr(tables, field.name)
        if isinstance(value, np.ndarray):
            arrays[field.name] = value.astype(np.float32) if field.name.endswith("_s") else value
        elif field.name not in _PLAIN:
            text[field.name] = value
    arrays |= {f"source/{k}": v for k, v in tables.sources.items()}
    with atomic(path) as part:
        _write(part, arrays | {"text": np.frombuffer(json.dumps(text, sort_keys=True).encode(), dtype=np.uint8)})


def load(path: Path) -> OperatorTables:
    """The tables at ``path``.

    Raises:
        EvidenceError: No such file, or not a snapshot of this format.
    """
    try:
        with path.open("rb") as f, np.load(f, allow_pickle=False) as stored:
            arrays = {k: stored[k] for k in stored.files}
        text = json.loads(arrays.pop("text").tobytes().decode())
    except FileNotFoundError:
        raise EvidenceError(f"no operator snapshot {path.name}: run `dvc repro operators`") from None
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise EvidenceError(f"{path.name} is no operator snapshot: {error}") from error
    if text.pop("format", None) != FORMAT:
        raise EvidenceError(f"{path.name} is not of format {FORMAT}: run `dvc repro operators`")
    sources = {k.removeprefix("source/"): arrays.pop(k) for k in list(arrays) if k.startswith("source/")}
    wide = {k: v.astype(np.float64) if k.endswith("_s") else v for k, v in arrays.items()}
    return OperatorTables(**wide, **text, sources=sources)


def _write(path: Path, arrays: dict[str, Any]) -> None:
    """A zip of arrays without time stamps, in the order of names."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key in sorted(arrays):
            entry = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as f:
                np.lib.format.write_array(f, np.ascontiguousarray(arrays[key]), allow_pickle=False)
