"""Whether another run prints the same: the measured part of the default run, many times, each in a process of its own.

    python -m benchmarks.repeats [--runs 10] [--beside 0,1,2] [--out FOLDER]

Every run is stage ``engine`` in one fresh copy of this checkout. Its verdicts are those that the report would print then, with
the runs before it as occasions. ``--beside`` names busy processes that share the machine, in turns over the runs. Two verdicts
on one quantity contradict each other where one calls right what the other calls wrong. Raw samples of every run are kept.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks._checkout import copied
from deltastack import formatting, params
from deltastack.analysis.analysis import Analysis, compute
from deltastack.analysis.base_usage import with_measured
from deltastack.contracts import JOINT, USAGE
from deltastack.experiment.exact_work import of_plain
from deltastack.model import Bench
from deltastack.outcomes import Formula
from deltastack.stack import Stack
from tasks import occasions, outbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from deltastack.analysis.analysis import FactorialAnalysis

ROOT = Path(__file__).parents[1]
RUNS = 10
TABLES = ("data/joint/engine.parquet", "data/joint/engine.json", "data/counter/engine.parquet")
OPPOSITE = (frozenset({"saves", "costs"}), frozenset({"holds", "fails"}), frozenset({"reached", "not reached"}))


class Run(NamedTuple):
    """One run of the measured part."""

    load: float
    """Of the last minute, before it began."""
    beside: int
    """Busy processes that this benchmark ran beside it."""
    wall_s: float
    card: str
    """Digest of its exact work; empty without one."""
    loud: str
    """Why the machine was loud; empty for a quiet one."""
    savings: dict[str, str]
    """Of the headline resource, each layer alone and all together: saving, interval, word."""
    verdicts: dict[str, str]
    """By quantity: every word that the report prints of a measured number."""


def main(words: Sequence[str] | None = None) -> int:
    """Run, print, write; 1 where two runs contradict each other or differ in exact work."""
    asked = _asked(words)
    out, found = Path(asked.out), []
    beside = [int(x) for x in asked.beside.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        copied(copy)
        for n in range(asked.runs):
            found.append(one(copy, beside[n % len(beside)]))
            _keep(copy, out / f"{n + 1:02d}", found[-1])
            print(*row(n + 1, found[-1]), sep="\n", flush=True)
    told = [*closing(found)]
    print(*told, sep="\n")
    (out / "repeats.json").write_text(json.dumps([r._asdict() for r in found], indent=2) + "\n")
    return int(bool(contradictions(found)) or len({r.card for r in found}) > 1)


def one(root: Path, beside: int) -> Run:
    """The measured part once in ``root``, with busy processes beside it."""
    load, clock = os.getloadavg()[0], time.perf_counter()
    with _busy(beside):
        command = [sys.executable, "-m", "tasks.engine"]
        subprocess.run(command, cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, check=True, capture_output=True)
    wall_s = time.perf_counter() - clock
    told = outbox.read(root / "data/joint/engine.json")
    analysis = analysed(root)
    occasions.note(root, analysis, analysis.stack.occasions_kept)
    loud = told["machine"]["loud"]
    return Run(
        load=load,
        beside=beside,
        wall_s=wall_s,
        card=of_plain(told.get("exact", {})).digest if told.get("exact", {}).get("cells") else "",
        loud="not recorded" if loud is None else ", ".join(loud),
        savings=savings(analysis),
        verdicts=verdicts(analysis),
    )


def analysed(root: Path) -> Analysis:
    """What the report makes of the engine's tables in ``root``, with the occasions before."""
    stack = params.load(root / "params/stack.yaml", Stack)
    joint = JOINT.read(root / "data/joint/engine.parquet")
    return compute(
        stack=stack,
        workload={},
        baseline=with_measured(USAGE.frame([]), joint),
        deltas={},
        joint={Bench.ENGINE: joint},
        measured_at=occasions.read(root, stack.occasions_kept),
        mechanisms={Bench.ENGINE: outbox.read(root / "data/joint/engine.json").get("mechanisms", {})},
    )


def savings(analysis: Analysis) -> dict[str, str]:
    """Each layer alone and all together, of the headline resource: saving, interval, word."""
    a = analysis.headlines[0]
    found = {x.share.layer: f"{formatting.interval(x.share.alone)} {x.resolution}" for x in a.layers}
    return found | ({} if a.joint is None else {"together": f"{formatting.interval(a.joint)} {a.resolution}"})


def verdicts(analysis: Analysis) -> dict[str, str]:
    """Every word of every resource, by quantity."""
    found: dict[str, str] = {}
    for a in analysis.factorials:
        found |= {f"{a.factorial.resource} {name}": word for name, word in _words(a).items()}
    return found


def _words(a: FactorialAnalysis) -> dict[str, str]:
    told = {x.share.layer: str(x.resolution) for x in a.layers}
    told |= {"together": str(a.resolution)} if a.resolution is not None else {}
    told |= {f"formula {n}": str(t.verdict) for n, t in a.totals.items() if t.verdict is not None and n is not Formula.JOINT}
    for t in a.targets:
        told |= {f"target {t.target.name}": str(t.verdict), f"target {t.target.name}, best set": str(t.best.verdict)}
    return told


def contradictions(found: Sequence[Run]) -> list[str]:
    """Pairs of runs of which one calls right what the other calls wrong, by quantity."""
    told = []
    for (i, a), (j, b) in combinations(enumerate(found, start=1), 2):
        both = a.verdicts.keys() & b.verdicts.keys()
        told += [
            f"{q}: run {i} says {a.verdicts[q]}, run {j} {b.verdicts[q]}"
            for q in sorted(both)
            if frozenset({a.verdicts[q], b.verdicts[q]}) in OPPOSITE
        ]
    return told


def row(number: int, r: Run) -> list[str]:
    """One run in lines."""
    head = f"run {number}: load before {r.load:.2f}, {r.beside} busy beside, {r.wall_s:.0f} s, machine {r.loud or 'quiet'}"
    quiet = {q: w for q, w in r.verdicts.items() if q.partition(" ")[2].startswith(("formula", "target"))}
    said = {w: [q for q in quiet if quiet[q] == w] for w in dict.fromkeys(quiet.values())}
    return [
        head,
        f"  exact work: card {r.card or 'missing'}",
        *(f"  {name}: {words}" for name, words in r.savings.items()),
        *(f"  {word}: {', '.join(of)}" for word, of in said.items()),
    ]


def closing(found: Sequence[Run]) -> list[str]:
    """What all runs together say."""
    against, cards = contradictions(found), {r.card for r in found}
    same = "yes" if len(cards) == 1 and "" not in cards else "no"
    longest = max(r.wall_s for r in found)
    return [
        f"{len(found)} runs, the longest {longest:.0f} s",
        *against,
        f"contradicting verdicts: {len(against)}",
        f"exact-work card identical: {same}",
    ]


@contextlib.contextmanager
def _busy(count: int) -> Iterator[None]:
    """So many processes that do nothing but use a processor."""
    some = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for one_of in some:
            one_of.kill()
            one_of.wait()


def _keep(root: Path, out: Path, run: Run) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        shutil.copyfile(root / name, out / Path(name).name.replace("engine", f"{Path(name).parent.name}-engine"))
    (out / "run.json").write_text(json.dumps(run._asdict(), indent=2) + "\n")


def _asked(words: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.repeats", description=str(__doc__).partition("\n")[0])
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--beside", default="0", help="busy processes beside the runs, in turns, such as 0,1,2")
    parser.add_argument("--out", default=str(ROOT / "benchmarks" / "results" / "repeats"))
    return parser.parse_args([] if words is None else words)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
