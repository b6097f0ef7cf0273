"""Recordings: this checkout's measured runs written as a bundle, and the bundles of others in data/recorded."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deltastack import home, machine_fingerprint, params, recording
from deltastack.contracts import JOINT, atomic
from deltastack.errors import EvidenceError, InputError, UnknownNameError
from deltastack.model import MECHANISM, Bench, cell_of
from deltastack.recording import predictions
from deltastack.stack import Stack
from tasks import outbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deltastack.recording import Manifest, Outcome, Recording
    from deltastack.recording.predictions import Beside

FOLDER = "data/recorded"
MEASURED = tuple(b for b in Bench if not b.facts.simulated)


def record(root: Path, bench: Bench, out: Path) -> Manifest:
    """Write the runs of a measured bench as a bundle.

    Args:
        root: The checkout.
        bench: ``engine`` or ``testbed``; its tables must be there.
        out: The zip.

    Raises:
        InputError: A bench that is simulated, or a path that cannot be written.
        EvidenceError: The bench has not been measured here.
    """
    if bench not in MEASURED:
        raise InputError(f"bench '{bench}' is simulated: any machine computes it again; record: {', '.join(MEASURED)}")
    joint = root / f"data/joint/{bench}.parquet"
    if not joint.is_file():
        raise EvidenceError(f"the {bench} bench has not been measured here (no data/joint/{bench}.parquet): run `deltastack run`")
    runs = JOINT.read(joint)
    sets = [cell for cell in runs["cell"].unique() if "@" not in cell and not cell.startswith(MECHANISM)]
    layers = sorted({layer for cell in sets for layer in cell_of(cell)})
    host = str(runs["host"].iloc[0])
    told = outbox.read(joint.with_suffix(".json"))
    head = {
        "bench": bench,
        "host": host,
        "device": host.rsplit("device=", 1)[-1],
        "recorded_at": datetime.fromtimestamp(joint.stat().st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "versions": {"deltastack": home.version()} | machine_fingerprint.describe(),
        "layers": layers,
        "loud": told.get("machine", {}).get("loud"),
        "mechanisms": told.get("mechanisms", {}),
    }
    return recording.write(out, head, {name: path.read_bytes() for name, path in _parts(root, bench)})


def replay(root: Path, bundle: Path) -> Recording:
    """Check a bundle and keep it in data/recorded; the same one again changes nothing.

    Raises:
        InputError: A damaged bundle, or one whose runs are not what its manifest says.
        ContractError: A table that breaks its contract.
        EvidenceError: No full factorial.
    """
    found = recording.read(bundle)
    outcomes(root, found)
    place = root / FOLDER / f"{found.manifest.name}.zip"
    if not place.is_file():
        with atomic(place) as part:
            shutil.copyfile(bundle, part)
    return found


def kept(root: Path) -> tuple[Recording, ...]:
    """The recordings of data/recorded, by name.

    Raises:
        InputError: A damaged bundle.
        ContractError: A table that breaks its contract.
    """
    return tuple(recording.read(p) for p in sorted((root / FOLDER).glob("*.zip")))


def shown(root: Path) -> tuple[Outcome, ...]:
    """What every kept recording says, one entry a resource; for the page.

    Raises:
        InputError: A damaged bundle, or one whose runs are not what its manifest says.
        ContractError: A table that breaks its contract.
        EvidenceError: No full factorial.
    """
    return tuple(o for found in kept(root) for o in outcomes(root, found))


def beside(root: Path) -> tuple[Beside, ...]:
    """What the fleet says of the cells of every kept recording of an accelerator; of the shipped example where none is kept.

    Raises:
        InputError: A damaged bundle.
        ContractError: A table that breaks its contract.
    """
    found = tuple(b for r in kept(root) for b in predictions.beside(r, root))
    return found or predictions.example(root)


def remove(root: Path, name: str) -> None:
    """Forget a recording.

    Raises:
        UnknownNameError: No recording of that name; the message lists what there is.
    """
    names = {p.stem: p for p in (root / FOLDER).glob("*.zip")}
    if name not in names:
        raise UnknownNameError(f"no recording '{name}'; there are: {', '.join(sorted(names)) or 'none'}")
    names[name].unlink()


def outcomes(root: Path, found: Recording) -> tuple[Outcome, ...]:
    """What a recording says, with the tolerance and confidence of this checkout.

    Raises:
        InputError: Its runs are not what its manifest says.
        EvidenceError: No full factorial.
    """
    stack = params.load(root / "params/stack.yaml", Stack)
    return recording.outcomes(found, tolerance=stack.tolerance, confidence=stack.confidence)


def _parts(root: Path, bench: Bench) -> Iterator[tuple[str, Path]]:
    """Tables and params of a bench that are there, by their names in a bundle."""
    tables = [("joint", f"joint/{bench}"), ("quality", f"quality/joint/{bench}"), ("counter", f"counter/{bench}")]
    for name, place in tables:
        if (path := root / f"data/{place}.parquet").is_file():
            yield f"tables/{name}.parquet", path
    for path in sorted((root / "data/delta" / bench.facts.deltas).glob("*.parquet")):
        yield f"tables/delta/{path.stem}.parquet", path
    for pattern in ("stack.yaml", *bench.facts.inputs):
        for path in sorted((root / "params").glob(pattern)):
            yield f"params/{path.relative_to(root / 'params').as_posix()}", path
