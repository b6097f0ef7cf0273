"""A bundle: written with the same bytes for the same runs, and read only if every part is what the manifest says.

What is checked: names (only the listed ones, no folders that lead out), sizes before anything is unpacked, SHA-256 of each part,
the contract of each table. A hash tells a damaged bundle from a whole one. It does not tell who made it.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pydantic
from pydantic import Field

from deltastack import contracts, strict_yaml
from deltastack.contracts import atomic
from deltastack.contracts.files import ordinary
from deltastack.errors import ContractError, InputError
from deltastack.model import Bench, Params

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

FORMAT: Literal["deltastack recording"] = "deltastack recording"
VERSION: Literal[1] = 1
MANIFEST = "manifest.json"
MOST_PARTS = 200
MOST_BYTES = 256 * 2**20
"""Of all parts together, unpacked; a recording of 40 blocks of 32 cells has 2 MB."""
_MANIFEST_BYTES = 2**20
_EPOCH = (1980, 1, 1, 0, 0, 0)
_NAME = re.compile(r"(tables/(joint|delta|quality|counter)(/[a-z][a-z0-9_]{0,60})?\.parquet|params/[a-z0-9_/]{1,80}\.yaml)")
_CONTRACTS = {"joint": contracts.JOINT, "delta": contracts.DELTA, "quality": contracts.QUALITY, "counter": contracts.COUNTER}


class Part(Params):
    """One file of a bundle."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    byte: int = Field(ge=0, le=MOST_BYTES)


class Manifest(Params):
    """What a bundle says of itself."""

    format: Literal["deltastack recording"] = FORMAT
    version: Literal[1] = VERSION
    bench: Bench
    host: str = Field(min_length=1, max_length=2000)
    device: str = Field(min_length=1, max_length=200)
    recorded_at: str = Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", description="UTC")
    versions: dict[str, str] = Field(max_length=100, description="of the project, the interpreter and what measured")
    layers: tuple[str, ...] = Field(min_length=1, max_length=16)
    parts: dict[str, Part] = Field(max_length=MOST_PARTS)
    loud: tuple[str, ...] | None = Field(None, max_length=10, description="what else used the machine; null: nobody looked")
    mechanisms: dict[str, tuple[str, ...]] = Field(default_factory=dict, description="by mechanism, the layers that use it")

    @property
    def name(self) -> str:
        """A name for a folder: bench, device and date."""
        words = re.sub(r"[^a-z0-9]+", "-", f"{self.bench}-{self.device}".lower()).strip("-")[:60]
        return f"{words}-{self.recorded_at[:10]}-{self.digest[:8]}"

    @property
    def digest(self) -> str:
        """A hash of everything in the bundle."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """A checked bundle in memory."""

    manifest: Manifest
    tables: Mapping[str, pd.DataFrame]
    """By part name without its ending: ``joint``, ``delta/LAYER``, ``quality``, ``counter``."""


def write(path: Path, head: Mapping[str, Any], parts: Mapping[str, bytes]) -> Manifest:
    """Write a bundle.

    Args:
        path: The zip.
        head: The manifest's fields without ``parts``.
        parts: Tables as ``tables/NAME.parquet`` and params as ``params/NAME.yaml``.

    Raises:
        InputError: No joint table, a name that no bundle has, or a path that cannot be written.
        ContractError: A table that breaks its contract.
    """
    wrong = [n for n in parts if not _NAME.fullmatch(n)]
    if wrong or "tables/joint.parquet" not in parts:
        raise InputError(f"a bundle has no part '{wrong[0]}'" if wrong else "nothing to record: no joint table")
    _tables(parts)
    listed = {n: Part(sha256=hashlib.sha256(c).hexdigest(), byte=len(c)) for n, c in sorted(parts.items())}
    manifest = Manifest.model_validate({**head, "parts": listed})
    try:
        with atomic(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, content in ((MANIFEST, _json(manifest)), *sorted(parts.items())):
                bundle.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); name another file") from error
    return manifest


def read(path: Path) -> Recording:
    """Read and check a bundle.

    Raises:
        InputError: No bundle, a damaged one, or one of another version; on one line.
        ContractError: A table that breaks its contract.
    """
    found = _zip(path)
    manifest = _manifest(path, found.pop(MANIFEST, None))
    absent = sorted(manifest.parts.keys() - found.keys())
    strange = sorted(found.keys() - manifest.parts.keys())
    if absent or strange:
        said = f"part '{absent[0]}' is missing" if absent else f"part '{strange[0][:80]}' is not in its manifest"
        raise InputError(f"{path}: {said}; get the bundle again from where it was recorded")
    for name, part in manifest.parts.items():
        if len(found[name]) != part.byte or hashlib.sha256(found[name]).hexdigest() != part.sha256:
            raise InputError(f"{path}: part '{name}' was altered; get the bundle again from where it was recorded")
    return Recording(manifest=manifest, tables=_tables(found))


def _zip(path: Path) -> dict[str, bytes]:
    """The parts of a zip, none of them unpacked before its name and size are known to hold."""
    try:
        with zipfile.ZipFile(ordinary(path)) as bundle:
            entries = bundle.infolist()
            _refuse_entries(path, entries)
            return {e.filename: bundle.read(e) for e in entries}
    except FileNotFoundError:
        raise InputError(f"no such bundle: {path}") from None
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise InputError(f"{path}: not a whole bundle ({error}); wanted a zip that `deltastack record` wrote") from error


def _refuse_entries(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    names = [e.filename for e in entries]
    wrong = next((n for n in names if n != MANIFEST and not _NAME.fullmatch(n)), None)
    twice = next((n for n in names if names.count(n) > 1), None) if len(names) <= MOST_PARTS + 1 else None
    size = sum(e.file_size for e in entries)
    said = (
        f"{len(names)} parts"
        if len(names) > MOST_PARTS + 1
        else f"part '{wrong[:80]}'"
        if wrong is not None
        else f"part '{twice}' twice"
        if twice is not None
        else f"{size / 2**20:.0f} MiB unpacked"
        if size > MOST_BYTES
        else None
    )
    if said is not None:
        raise InputError(f"{path}: it has {said}; a bundle of `deltastack record` has none such")


def _manifest(path: Path, content: bytes | None) -> Manifest:
    if content is None or len(content) > _MANIFEST_BYTES:
        raise InputError(f"{path}: no {MANIFEST}; wanted a bundle that `deltastack record` wrote")
    try:
        said = json.loads(content, object_pairs_hook=strict_yaml.once)
        _refuse_version(path, said)
        return Manifest.model_validate(said)
    except pydantic.ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise InputError(f"{path}: {MANIFEST}, {place}: {fault['msg']} (found {str(fault['input'])[:60]!r})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {MANIFEST} is no JSON ({str(error)[:80]})") from error


def _refuse_version(path: Path, said: object) -> None:
    """A bundle of another version says what to do; one that names none has the first."""
    version = said.get("version", VERSION) if isinstance(said, dict) else VERSION
    if type(version) is int and version > VERSION:
        raise InputError(
            f"{path}: a bundle of version {version:.3g}, this deltastack reads {VERSION}: update deltastack, or have the runs "
            "recorded again with this one"
        )


def _tables(parts: Mapping[str, bytes]) -> dict[str, pd.DataFrame]:
    """Every table, read by its contract."""
    found: dict[str, pd.DataFrame] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, content in parts.items():
            if not name.startswith("tables/"):
                continue
            short = name.removeprefix("tables/").removesuffix(".parquet")
            file = Path(folder) / "table.parquet"
            file.write_bytes(content)
            try:
                found[short] = _CONTRACTS[short.split("/")[0]].read(file)
            except ContractError as error:
                raise ContractError(str(error).replace(str(file), name)) from None
    return found


def _json(manifest: Manifest) -> bytes:
    return manifest.model_dump_json(indent=2).encode() + b"\n"
