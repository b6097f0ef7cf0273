"""What a replica's flash drive gives to reads while a tier of keys and values is written to it, and while weights load.

    bytes_per_s = min(read_bytes_per_s, dies page / page_read_s (1 - background))      sequential reads
    first_page_s = mean latency of one page read (physics/drive: Cobham, or simulated with suspension)
    written = min(1, (LIMIT - reads) / (what all writes would take of the dies))        share of the writes that the drive takes
    load_s = bytes read / bytes_per_s + bounced bytes / copy_bytes_per_s                weights, tensor by tensor

``background`` is the share of die time that programs, erases and cleaning take. A drive that cannot keep up with what the
engine would keep drops the rest, as a write-back tier does: the tier then holds, and hits, proportionally less.

Source: physics/drive, physics/alignment; the limit on utilisation and proportional hits are this project's assumptions.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from deltastack.errors import ParamsError
from deltastack.fleet.operators.shapes import tensor_bytes
from deltastack.fleet.physics import alignment, drive
from deltastack.fleet.physics.drive import Drive, Load, Scheduler

if TYPE_CHECKING:
    from deltastack.fleet.deployment import Storage

LIMIT = 0.8
"""Utilisation of the dies beyond which a drive takes no more background writes (assumed)."""
READS = 40_000
"""Page reads of one simulation with suspension: the mean is known to about 1 %."""


class Contended(NamedTuple):
    """The drive as a reader finds it."""

    first_page_s: float
    bytes_per_s: float
    written: float
    """Share of the wanted writes that the drive takes, in 0..1."""
    write_bytes_per_s: float
    """Host writes that it takes."""


class Loading(NamedTuple):
    """Loading the weights of a model once."""

    read_bytes: float
    bounced_bytes: float
    seconds: float


def scheduler(storage: Storage) -> Scheduler:
    """What a die does when a read waits.

    Raises:
        ParamsError: A word that no drive knows.
    """
    try:
        return Scheduler[storage.scheduler.upper()]
    except KeyError:
        words = ", ".join(s.name.lower() for s in Scheduler)
        raise ParamsError(f"storage.scheduler = {storage.scheduler!r}, must be one of {words}") from None


def contended(storage: Storage, *, read_bytes_per_s: float, write_bytes_per_s: float) -> Contended:
    """The drive under ``read_bytes_per_s`` of reads [B/s] and as much of ``write_bytes_per_s`` as it takes.

    Raises:
        ParamsError: A scheduler that no drive knows.
        OutOfValidityError: Reads that alone saturate the dies, or a write amplification below 1.
    """
    how = scheduler(storage)
    return _contended(_drive(storage), storage, how, read_bytes_per_s, write_bytes_per_s)


@lru_cache(maxsize=256)
def loading(storage: Storage, model: str) -> Loading:
    """Loading every tensor of ``model``'s bf16 file with one direct read each.

    Raises:
        UnknownNameError: No shapes of the model.
    """
    sizes = tensor_bytes(model)
    layout = alignment.aligned_offsets(sizes, storage.block_bytes) if storage.aligned else alignment.packed_offsets(sizes)
    found = alignment.reads(layout, sizes, storage.block_bytes)
    seconds = found.read_bytes / storage.read_bytes_per_s + found.bounced_bytes / storage.copy_bytes_per_s
    return Loading(found.read_bytes, found.bounced_bytes, seconds)


@lru_cache(maxsize=256)
def _contended(flash: Drive, storage: Storage, how: Scheduler, read_bytes_per_s: float, write_bytes_per_s: float) -> Contended:
    def load(write: float) -> Load:
        return Load(read_bytes_per_s=read_bytes_per_s, write_bytes_per_s=write, write_amplification=storage.write_amplification)

    reads = drive.utilisation(flash, load(0.0))
    background = drive.utilisation(flash, load(write_bytes_per_s)) - reads
    written = 1.0 if background <= LIMIT - reads else max(LIMIT - reads, 0.0) / background
    taken = load(write_bytes_per_s * written)
    pages_per_s = flash.dies * flash.page_bytes / flash.read_s
    return Contended(
        first_page_s=_first_page_s(flash, taken, how),
        bytes_per_s=min(storage.read_bytes_per_s, pages_per_s * (1 - background * written)),
        written=written,
        write_bytes_per_s=write_bytes_per_s * written,
    )


def _first_page_s(flash: Drive, load: Load, how: Scheduler) -> float:
    """Mean latency of a page read; the suspending die is simulated, with one read in ten milliseconds at least."""
    if load.write_bytes_per_s == 0 or how is not Scheduler.SUSPEND:
        return drive.mean_read_s(flash, load, Scheduler.READ_PRIORITY if how is Scheduler.SUSPEND else how)
    probing = max(load.read_bytes_per_s, 100.0 * flash.page_bytes * flash.dies)
    probe = Load(read_bytes_per_s=probing, write_bytes_per_s=load.write_bytes_per_s, write_amplification=load.write_amplification)
    return drive.simulate_reads(flash, probe, how, reads=READS, seed=0).mean_s


def _drive(storage: Storage) -> Drive:
    return Drive(read_s=storage.page_read_s, program_s=storage.program_s, erase_s=storage.erase_s, dies=storage.dies)
