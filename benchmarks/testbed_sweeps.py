"""Tables beside the layers of the testbed: reads, workers, sparse density, the link, ideal lanes, two processes.

    python -m benchmarks.testbed_sweeps [reads|workers|density|link|lanes|apart ...]

Prints each as a table; docs/testbed.md quotes them. One thread, files of its own in a temporary folder of this checkout.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import contextlib
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch

from deltastack.model import Component, Resource
from deltastack.testbed import settings
from deltastack.testbed.sweeps import density, link, reads, workers
from deltastack.testbed.sweeps.two_process_pipeline import Halves
from deltastack.testbed.switches import placement
from deltastack.testbed.switches.replay import least_micro_batches, replay
from deltastack.testbed.switches.settings import Lanes as LaneValues
from deltastack.testbed.vlm import models, requests
from deltastack.testbed.vlm.serving import Rank, Ranked

if TYPE_CHECKING:
    from collections.abc import Callable

    from deltastack.testbed.switches.lanes import Lanes

ROOT = Path(__file__).parents[1]
FILE_BYTE = 512 << 20
APART_ROUNDS = 9
SIZES_BYTE = (4096, 8192, 16384, 65536, 262144, 1048576, 4194304)


def show_reads(folder: Path) -> None:
    """Median, p99 and amplification by size and way."""
    path = _scratch(folder, FILE_BYTE)
    print("size KiB | way | p50 us | p99 us | bytes asked / wanted | bounce copies")
    for r in reads.sweep(path, SIZES_BYTE, count=200, seed=1):
        asked = "the system's" if r.amplification is None else f"{r.amplification:.3f}"
        print(f"{r.size_byte // 1024} | {r.way} | {r.p50_s * 1e6:.0f} | {r.p99_s * 1e6:.0f} | {asked} | {r.bounce_copies}")


def show_workers(folder: Path) -> None:
    """Memory of one to three workers, shared and private."""
    path = _scratch(folder, 128 << 20)
    print("workers | way | sum of PSS MB | read from disk MB")
    for n in (1, 2, 3):
        for way in ("none", "shared", "private"):
            h = workers.hold(path, way, n)
            print(f"{n} | {way} | {h.pss_byte / 1e6:.1f} | {h.read_byte / 1e6:.1f}")


def show_density(folder: Path) -> None:
    """Saving of the sparse product by rows and density, and the break-even."""
    del folder
    rows, densities = (1, 4, 8, 64, 256), (0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0)
    points = density.sweep((512, 1536), rows=rows, densities=densities, repeats=15, seed=1)
    print("rows | " + " | ".join(f"d={d:g}" for d in densities) + " | wins up to")
    for m in rows:
        cells = " | ".join(f"{p.saving:+.0%}" for p in points if p.rows == m)
        print(f"{m} | {cells} | {density.break_even(points, m)}")


def show_link(folder: Path) -> None:
    """One way between two processes, by message size."""
    del folder
    print("bytes | p50 us | p99 us | GB/s")
    for h in link.sweep((64, 8192, 65536, 262144, 2097152), messages=500):
        print(f"{h.size_byte} | {h.p50_s * 1e6:.1f} | {h.p99_s * 1e6:.1f} | {h.byte_per_s / 1e9:.2f}")


def show_lanes(folder: Path) -> None:
    """What an ideal machine would make of the recorded lanes, and how many micro-batches the rule asks for."""
    del folder
    p = settings.load(ROOT)
    engine = models.engine(ROOT, p)
    batches = requests.batches(engine.host, p.session, text_share=0.5, trained=False)
    hop_s = link.sweep((batches[0].prompts.shape[0] * p.hosts[p.size].hidden * 4,), messages=300)[0].p50_s
    print("technique | micro-batches | work s | ideal s | ideal speed-up | lower bound s")
    for name in ("layer_placement", "attention_ffn"):
        for m in (2, 4):
            with getattr(placement, name)(engine, LaneValues(lanes=2, micro_batches=m)):
                engine.run(batches)
                runner = cast("Lanes", engine.serving.runner)
                found = [replay(visits, hop_s=hop_s) for visits in runner.trace]
            work, ideal, bound = (sum(getattr(f, k) for f in found) for k in ("work_s", "makespan_s", "bound_s"))
            print(f"{name} | {m} | {work:.3f} | {ideal:.3f} | {work / ideal:.2f} | {bound:.3f}")
    lanes = [(lane, s) for visits in runner.trace for v in visits for lane, s in v]
    attention, ffn = (sum(s for lane, s in lanes if lane == (part,)) / len(lanes) for part in ("attention", "ffn"))
    least = least_micro_batches(attention_s=attention, ffn_s=ffn, transfer_s=hop_s)
    print(f"attention : feed-forward = {attention / ffn:.2f}, hop {hop_s * 1e6:.0f} us: the rule asks for {least} micro-batches")


def show_apart(folder: Path) -> None:
    """One core, two lanes, two processes, two free threads: wall, processor time, and what crosses the link; median of rounds."""
    del folder
    p = settings.load(ROOT)
    engine = models.engine(ROOT, p)
    batches = requests.batches(engine.host, p.session, text_share=0.5, trained=False)
    at, values = len(engine.host.layers) // 2, LaneValues(lanes=2, micro_batches=2)
    ways = ("one core", "two lanes", "two processes", "free threads")
    found: dict[str, list[tuple[float, float]]] = {w: [] for w in ways}
    last = halves = Halves(at=at)
    for _ in range(APART_ROUNDS + 1):
        for way in ways:
            halves = Halves(at=at)
            with contextlib.ExitStack() as stack:
                if way in {"two lanes", "two processes"}:
                    stack.enter_context(placement.layer_placement(engine, values))
                if way == "two processes":
                    stack.enter_context(engine.register("changes", "apart", Ranked(Rank.HOOKS, "apart", halves)))
                    last = halves
                if way == "free threads":
                    stack.enter_context(placement.free_lanes(engine))
                outcome = engine.run(batches)
            loading = outcome.amounts[Component.STORAGE]
            wall_s, cpu_s = outcome.wall_s - loading[Resource.TIME_S], outcome.cpu_s - loading[Resource.CPU_S]
            found[way].append((wall_s, cpu_s + halves.fork_cpu_s))
    print("way | wall s | processor s")
    for way, rounds in found.items():
        wall_s, cpu_s = (statistics.median(r[i] for r in rounds[1:]) for i in (0, 1))
        print(f"{way} | {wall_s:.3f} | {cpu_s:.3f}")
    crossed = last.sent_byte + last.received_byte
    print(f"link: {last.messages} messages, {crossed / 1e6:.2f} MB, {crossed / last.messages / 1e3:.1f} kB a message and answer")


TABLES: dict[str, Callable[[Path], None]] = {
    "reads": show_reads,
    "workers": show_workers,
    "density": show_density,
    "link": show_link,
    "lanes": show_lanes,
    "apart": show_apart,
}


def main(names: list[str] | None = None) -> None:
    """Print the tables named, or all."""
    torch.set_num_threads(1)
    for name in names or list(TABLES):
        print(f"-- {name}", flush=True)
        with tempfile.TemporaryDirectory(dir=ROOT) as folder:
            TABLES[name](Path(folder))


def _scratch(folder: Path, size_byte: int) -> Path:
    path = folder / "weights"
    with path.open("wb") as f:
        for _ in range(size_byte >> 20):
            f.write(os.urandom(1 << 20))
        os.fsync(f.fileno())
    return path


if __name__ == "__main__":
    main(sys.argv[1:])
