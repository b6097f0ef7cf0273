"""What zones save of a read: a surface over write rate, write amplification and scheduler, and of restoring a prefix.

``python -m benchmarks.storage_surface`` prints it. A point is a conventional drive against the same drive in zones under the same
host load: mean and p99.9 of a page read (simulated, 200,000 reads), and the time to restore 1,024 tokens of Qwen3-VL-8B.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from deltastack.errors import OutOfValidityError
from deltastack.fleet.deployment import Storage
from deltastack.fleet.effects import flash
from deltastack.fleet.physics.drive import Drive, Load, ReadLatency, Scheduler, simulate_reads, write_amplification

READ_BYTES_PER_S, READS, SEED = 2e9, 200_000, 3
PREFIX_BYTES = 1024 * 147_456
WRITES_BYTES_PER_S = (0.0, 100e6, 250e6, 500e6)
AMPLIFICATIONS = (1.1, 1.5, 2.5, write_amplification(0.07))


class Point(NamedTuple):
    """One point of the surface; savings as fractions."""

    conventional: ReadLatency
    zoned: ReadLatency
    mean: float
    p999: float
    restore: float


def point(scheduler: Scheduler, write_bytes_per_s: float, amplification: float) -> Point:
    """Conventional against zoned at one load.

    Raises:
        OutOfValidityError: The conventional drive's dies are saturated.
    """
    load = Load(read_bytes_per_s=READ_BYTES_PER_S, write_bytes_per_s=write_bytes_per_s, write_amplification=amplification)
    before, after = (simulate_reads(Drive(), x, scheduler, reads=READS, seed=SEED) for x in (load, load.zoned()))
    drive = Storage(
        drive_bytes=3.84e12, read_bytes_per_s=12e9, write_amplification=amplification, scheduler=scheduler.name.lower()
    )
    restores = []
    for one in (drive, replace(drive, write_amplification=1.0)):
        found = flash.contended(one, read_bytes_per_s=READ_BYTES_PER_S, write_bytes_per_s=write_bytes_per_s)
        restores.append(found.first_page_s + PREFIX_BYTES / found.bytes_per_s)
    return Point(
        conventional=before,
        zoned=after,
        mean=1 - after.mean_s / before.mean_s,
        p999=1 - after.p999_s / before.p999_s,
        restore=1 - restores[1] / restores[0],
    )


def main() -> None:
    """Print the surface."""
    print("scheduler      write MB/s   WA   mean us: conv -> zoned   p99.9 us: conv -> zoned   saves: mean  p99.9  restore")
    for scheduler in Scheduler:
        for write in WRITES_BYTES_PER_S:
            for amplification in AMPLIFICATIONS if write else (AMPLIFICATIONS[2],):
                name = f"{scheduler.name.lower():14s} {write / 1e6:9.0f} {amplification:5.1f}"
                try:
                    found = point(scheduler, write, amplification)
                except OutOfValidityError:
                    print(f"{name}   the conventional drive is saturated: no steady state")
                    continue
                before, after = found.conventional, found.zoned
                print(
                    f"{name}   {before.mean_s * 1e6:10.0f} -> {after.mean_s * 1e6:5.0f}"
                    f"   {before.p999_s * 1e6:14.0f} -> {after.p999_s * 1e6:5.0f}"
                    f"   {found.mean:13.1%} {found.p999:6.1%} {found.restore:7.1%}"
                )


if __name__ == "__main__":
    main()
