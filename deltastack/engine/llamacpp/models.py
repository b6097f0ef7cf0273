"""The model files of the embedded engine, in one folder: ``python -m deltastack.engine.llamacpp.models FOLDER``.

``text-*.gguf`` is SmolLM2-135M, ``image-*.gguf`` with ``image-mmproj.gguf`` the project's own vision-language model. A card
beside them holds what they were made of and the hash of each. A second call finds them, checks the hashes and writes nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltastack.contracts import atomic
from deltastack.engine.llamacpp import questions, smollm, vlm, weights, work
from deltastack.engine.llamacpp.weights import Precision
from deltastack.engine.llamacpp.work import DecoderSize
from deltastack.errors import DeltastackError, ParamsError
from deltastack.testbed.learning import bundled_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

CARD = "models.json"
PRECISIONS = (Precision.F32, Precision.Q8_0, Precision.Q4_0)
"""What the preset's techniques name; the others of ``Precision`` are written on request."""
TOWER, QUESTIONS = "image-mmproj.gguf", "image-questions.jsonl"
_QUESTIONS, _SEED = 256, 7


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One file: its name in the folder, its bytes, their hash, and the size of its decoder (None where it has none)."""

    name: str
    size_byte: int
    sha256: str
    decoder: DecoderSize | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """The files in ``folder``, and what was written anew."""

    folder: Path
    files: tuple[ModelFile, ...]
    written: tuple[str, ...]

    def path(self, name: str) -> Path:
        """Where the file called ``name`` is.

        Raises:
            ParamsError: No such file among them.
        """
        if name not in {f.name for f in self.files}:
            raise ParamsError(f"no model file {name}; the folder has: {', '.join(f.name for f in self.files)}")
        return self.folder / name


def text_name(precision: Precision) -> str:
    """The file of SmolLM2 in ``precision``."""
    return f"text-{precision}.gguf"


def image_name(precision: Precision) -> str:
    """The file of the own model's decoder in ``precision``."""
    return f"image-{precision}.gguf"


def prepare(
    folder: Path,
    precisions: Iterable[Precision] = PRECISIONS,
    *,
    trained: Path | None = None,
    only: Collection[str] | None = None,
) -> Models:
    """Write what is missing in ``folder``, and check what is there.

    Args:
        folder: Where the files lie.
        precisions: Of both models.
        trained: The folder of the trained model; the one that ships with the package by default.
        only: Names of the files that are wanted; all of both models by default.

    Raises:
        PreflightError: The engine's packages are not installed.
        EvidenceError: The trained model's file is broken.
    """
    source = trained or bundled_checkpoint.FOLDER
    recipe = _recipe(source)
    known = _known(folder, recipe)
    wanted = {n: w for n, w in _writers(source, tuple(precisions)).items() if only is None or n in only}
    written = tuple(name for name in wanted if not _holds(folder, known.get(name)))
    made = {name: _described(folder / name, wanted[name](folder / name)) for name in written}
    files = {name: f for name, f in {**known, **made}.items() if (folder / name).is_file()}
    if written:
        with atomic(folder / CARD) as part:
            part.write_text(json.dumps({"recipe": recipe, "files": [asdict(f) for f in files.values()]}, indent=1) + "\n")
    return Models(folder=folder, files=tuple(files[name] for name in wanted), written=written)


def _writers(source: Path, precisions: Sequence[Precision]) -> dict[str, Callable[[Path], DecoderSize | None]]:
    """How each file is written; the sources are read once, and only where a file is missing."""
    trained = cache(lambda: vlm.read(source))
    content = cache(lambda: smollm.read(smollm.shipped()))

    def image(precision: Precision, path: Path) -> DecoderSize:
        vlm.text(trained(), precision, path)
        return work.size(vlm.decoder(trained()), precision)

    def text(precision: Precision, path: Path) -> DecoderSize:
        smollm.write(content(), precision, path)
        return work.size(content().tensors, precision)

    writers: dict[str, Callable[[Path], DecoderSize | None]] = {
        TOWER: lambda path: vlm.vision(trained(), path),
        QUESTIONS: lambda path: questions.write(path, _QUESTIONS, _SEED),
    }
    for precision in precisions:
        writers[image_name(precision)] = partial(image, precision)
        writers[text_name(precision)] = partial(text, precision)
    return writers


def _recipe(source: Path) -> dict[str, str]:
    """What the bytes depend on: both sources, the library that writes, and the modules here."""
    return {
        "text": _sha256(smollm.shipped()),
        "image": _sha256(source / vlm.WEIGHTS) if (source / vlm.WEIGHTS).is_file() else "missing",
        "gguf": metadata.version("gguf"),
        "exporter": hashlib.sha256(
            b"".join(Path(str(m.__file__)).read_bytes() for m in (smollm, vlm, weights, work))
        ).hexdigest(),
    }


def _known(folder: Path, recipe: Mapping[str, str]) -> dict[str, ModelFile]:
    """What the card says of the folder; nothing where it was made of something else."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        if card["recipe"] != recipe:
            return {}
        return {f["name"]: _read(f) for f in card["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _read(file: dict[str, Any]) -> ModelFile:
    decoder = file.pop("decoder")
    return ModelFile(**file, decoder=DecoderSize(**decoder) if decoder else None)


def _holds(folder: Path, known: ModelFile | None) -> bool:
    return known is not None and (folder / known.name).is_file() and _described(folder / known.name, known.decoder) == known


def _described(path: Path, decoder: DecoderSize | None) -> ModelFile:
    return ModelFile(name=path.name, size_byte=path.stat().st_size, sha256=_sha256(path), decoder=decoder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(words: Sequence[str] | None = None) -> int:
    """Prepare a folder and print its files; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deltastack.engine.llamacpp.models", description="write the model files")
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--precision", action="append", choices=[p.value for p in Precision], help="f32, q8_0 and q4_0 by default"
    )
    args = parser.parse_args(words)
    try:
        models = prepare(args.folder, [Precision(p) for p in args.precision] if args.precision else PRECISIONS)
    except DeltastackError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - this is a program
        return error.exit_code
    for file in models.files:
        word = "written" if file.name in models.written else "found"
        print(f"{word:8s}{file.name:20s}{file.size_byte / 1e6:8.1f} MB  {file.sha256[:16]}")  # noqa: T201 - as above
    return 0


if __name__ == "__main__":
    sys.exit(main())
