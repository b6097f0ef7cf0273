"""Weights as GGUF tensors: which types, which tensors are quantized, and what is read of other files. No torch.

A matrix is quantized where its row length is a whole number of blocks; vectors (norms, biases) stay float32. ``Q8_0`` and
``Q4_0`` are blocks of 32 numbers with one float16 scale: 34 and 18 bytes a block. The ``gguf`` package does the arithmetic.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from deltastack.contracts import atomic
from deltastack.contracts.files import ordinary
from deltastack.errors import EvidenceError, ParamsError, PreflightError

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
        found = load_file(ordinary(path))
    except (OSError, SafetensorError) as error:
        raise EvidenceError(f"{path.name} is no whole safetensors file ({error}): install the package again") from error
    other = sorted({str(w.dtype) for w in found.values() if w.dtype != np.float32})
    if other:
        raise EvidenceError(f"{path.name} holds {', '.join(other)}, wanted float32 only: export from the file as trained")
    return dict(found)


def add(writer: gguf.GGUFWriter, tensors: Iterable[Tensor], precision: Precision) -> None:
    """Add ``tensors`` to ``writer``, matrices in ``precision``."""
    for name, values in tensors:
        plain = np.ascontiguousarray(values, dtype=np.float32)
        kind = library().GGMLQuantizationType[stored_as(plain, precision).name]
        writer.add_tensor(name, library().quants.quantize(plain, kind), raw_dtype=kind)


def stored_as(values: NDArray[np.float32], precision: Precision) -> Precision:
    """How a tensor is stored: a matrix whose rows are whole blocks takes ``precision``, everything else float32."""
    matrix = values.ndim == 2  # noqa: PLR2004 - rows and columns
    return precision if matrix and values.shape[1] % block_byte(precision)[0] == 0 else Precision.F32


def stored_byte(values: NDArray[np.float32], precision: Precision) -> int:
    """Bytes of a tensor in a file of ``precision``."""
    block, byte = block_byte(stored_as(values, precision))
    return values.size // block * byte


def block_byte(kind: str) -> tuple[int, int]:
    """Numbers in a block of type ``kind``, and its bytes.

    Raises:
        ParamsError: No such type.

    >>> block_byte("q8_0"), block_byte("f16")
    ((32, 34), (1, 2))
    """
    kinds = library().GGMLQuantizationType
    if kind.upper() not in kinds.__members__:
        raise ParamsError(f"no number type '{kind}'; there are: {', '.join(k.lower() for k in kinds.__members__)}")
    block, byte = library().GGML_QUANT_SIZES[kinds[kind.upper()]]
    return int(block), int(byte)


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
