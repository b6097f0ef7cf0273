"""``python -m benchmarks.year [NIGHTS]``: what a year of nightly runs leaves on the disk, before and after ``deltastack tidy``.

Every record is written by its own writer, and nothing is measured (``tests/flows/nights.py``). Bound: after the year, each
store takes no more than 1.25 times what it took after the nights that are kept (``runs_kept`` of params/stack.yaml), and 1 MiB.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from flows import retention, tidy_cache, tidy_prefect, tidy_tracking
from tasks import tidy
from tests.flows import nights

NIGHTS = 365
SHARE, ROOM_BYTES = 1.25, 2**20
MIB = 2**20


def main(count: int = NIGHTS) -> int:
    """Print each store after the kept nights, after all, and after tidying; how many break the bound."""
    kept = tidy.most(Path(__file__).parents[1])
    with tempfile.TemporaryDirectory(prefix="year-") as folder:
        root = nights.make(Path(folder) / "tiny", kept)
        os.environ |= {"PREFECT_HOME": str(root / ".run/prefect"), "DVC_SITE_CACHE_DIR": f"{folder}/site"}
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        os.chdir(root)
        month = _nights(root, 0, kept)
        year = _nights(root, kept, count - kept)
        began_s = time.perf_counter()
        done = {k.store: k for k in retention.apply(root, print, dry=False)}
        took_s = time.perf_counter() - began_s
        after = _sizes(root)
    print(f"{'MiB on disk':16} {kept:4} nights {count:4} nights      tidied  entries removed")
    faults = 0
    for store, size in year.items():
        holds = after[store] <= SHARE * month[store] + ROOM_BYTES
        faults += not holds
        sizes = f"{month[store] / MIB:11.2f} {size / MIB:11.2f} {after[store] / MIB:11.2f}"
        print(f"{store:16} {sizes} {done[store].dropped if store in done else '':16}  {'holds' if holds else 'BREAKS THE BOUND'}")
    print(f"all {sum(year.values()) / MIB:.1f} MiB before, {sum(after.values()) / MIB:.1f} MiB after, tidied in {took_s:.0f} s")
    return faults


def _nights(root: Path, first: int, count: int) -> dict[str, int]:
    nights.prefect(root, first, count)
    for day in range(first, first + count):
        nights.night(root, day)
    return _sizes(root)


def _sizes(root: Path) -> dict[str, int]:
    """Bytes on disk of each store."""
    run = (".run/history", ".run/delivered", ".run/receipts", ".run/ledgers", ".run/outbox")
    found = {name: tidy.size(root / name) for name in run}
    found[tidy_cache.STORE] = tidy.size(root / ".dvc/cache")
    found[tidy_tracking.STORE] = sum(tidy.size(p) for p in root.glob("mlflow.db*")) + tidy.size(root / "mlartifacts")
    return found | {tidy_prefect.STORE: tidy.size(root / ".run/prefect")}


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])) > 0)
