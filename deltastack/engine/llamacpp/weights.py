"""Weights as GGUF tensors: which types, which tensors are quantized, and what is read of other files. No torch.

A matrix is quantized where its row length is a whole number of blocks; vectors (norms, biases) stay float32. ``Q8_0`` and
``Q4_0`` are blocks of 32 numbers with one float16 scale: 34 and 18 bytes a block. The ``gguf`` package does the arithmetic.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deltastack.contracts import atomic
from deltastack.errors import EvidenceError, PreflightError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import ModuleType

    import gguf
    from numpy.typing import NDArray


class Precision(StrEnum):
    """How the matrices of a model file are stored."""

    F32 = "f32"
    F16 = "f16"
    Q8_0 = "q8_0"
    Q4_1 = "q4_1"
    Q4_0 = "q4_0"


class Tensor(NamedTuple):
    """One tensor under its GGUF name, in float32."""

    name: str
    values: NDArray[np.float32]


def library() -> ModuleType:
    """The ``gguf`` package.

    Raises:
        PreflightError: It is not installed.
    """
    try:
        import gguf
    except ImportError as error:
        raise PreflightError(f"gguf is not installed ({error}): pip install -c constraints.txt 'deltastack[engine]'") from error
    return gguf


def safetensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Tensors of one safetensors file, by name, read with numpy.

    Raises:
        EvidenceError: Missing, truncated, or tensors of another type than float32.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise EvidenceError(f"{path.name} is no whole safetensors file ({error}): install the package again") from error
    other = sorted({str(w.dtype) for w in found.values() if w.dtype != np.float32})
    if other:
        raise EvidenceError(f"{path.name} holds {', '.join(other)}, wanted float32 only: export from the file as trained")
    return dict(found)


def add(writer: gguf.GGUFWriter, tensors: Iterable[Tensor], precision: Precision) -> None:
    """Add ``tensors`` to ``writer``, matrices in ``precision``."""
    kinds = library()
    for name, values in tensors:
        plain = np.ascontiguousarray(values, dtype=np.float32)
        kind = kinds.GGMLQuantizationType[precision.name if quantized(plain, precision) else "F32"]
        writer.add_tensor(name, kinds.quants.quantize(plain, kind), raw_dtype=kind)


def quantized(values: NDArray[np.float32], precision: Precision) -> bool:
    """Whether a tensor takes ``precision``: a matrix whose rows are whole blocks; everything else stays float32."""
    if precision is Precision.F32 or values.ndim != 2:  # noqa: PLR2004 - a matrix
        return False
    block, _ = library().GGML_QUANT_SIZES[library().GGMLQuantizationType[precision.name]]
    return int(values.shape[1]) % int(block) == 0


def write(writer: gguf.GGUFWriter, path: Path) -> None:
    """Write all that ``writer`` holds to ``path``, whole or not at all; the same content gives the same bytes."""
    with atomic(path) as part:
        writer.write_header_to_file(part)
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def dequantized(tensor: Any) -> Tensor:
    """A tensor of a GGUF reader in float32: what the engine multiplies by, up to rounding."""
    values = library().quants.dequantize(tensor.data, tensor.tensor_type)
    return Tensor(str(tensor.name), values.astype(np.float32, copy=False))
