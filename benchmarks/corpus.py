"""``python -m benchmarks.corpus [EXAMPLES]``: the corpus of bad input in its long form, with what each kind of file answered.

Every place of every params file with every kind of wrong value, and EXAMPLES (2,000) files of every other kind. Bound: no fault.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from tests.corpus import params_files
from tests.corpus.answers import answer
from tests.corpus.files import KINDS, Kind

EXAMPLES = 2_000
FAULT = "fault"


def main(examples: int = EXAMPLES) -> int:
    """Try all of it; the number of faults."""
    found: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
        root = params_files.project(Path(folder))
        for file, read in params_files.readers(root).items():
            path = root / "params" / file
            whole = path.read_bytes()
            found[f"params/{file}"] = _params(root, file, read)
            path.write_bytes(whole)
        for kind in KINDS:
            found[kind.name] = _files(kind, Path(folder) / kind.name, examples)
    for name, tally in found.items():
        print(f"{name:40} {tally['taken']:6} taken {tally['refused']:6} refused {tally[FAULT]:4} faults", flush=True)
    faults = sum(tally[FAULT] for tally in found.values())
    print(f"{sum(map(Counter.total, found.values()))} inputs, {faults} faults (bound: 0)")
    return faults


def _params(root: Path, file: str, read: params_files.Reader) -> Counter[str]:
    tally: Counter[str] = Counter()
    path = root / "params" / file
    for case, data, value in list(params_files.cases(root, file)):
        path.write_bytes(data)
        try:
            taken = answer(read).taken
        except AssertionError as error:
            print(f"{case.name}: {error}")
            tally[FAULT] += 1
            continue
        silent = taken and params_files.must_be_refused(case, value)
        if silent:
            print(f"{case.name}: taken in silence")
        tally[FAULT if silent else "taken" if taken else "refused"] += 1
    return tally


def _files(kind: Kind, path: Path, examples: int) -> Counter[str]:
    tally: Counter[str] = Counter()

    @settings(max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(kind.made)
    def tried(data: bytes) -> None:
        path.write_bytes(data)
        try:
            tally["taken" if answer(lambda: kind.read(path)).taken else "refused"] += 1
        except AssertionError as error:
            print(f"{kind.name}: {data[:80]!r}: {error}")
            tally[FAULT] += 1

    tried()
    return tally


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])) > 0)
