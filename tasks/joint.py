"""Stage ``joint``: every set of layers run together on one bench, as data/joint/BENCH.parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack import layers
from deltastack.contracts import JOINT
from deltastack.errors import UnknownNameError
from deltastack.layers import estimation
from deltastack.model import Bench
from tasks import entry, fleet

if TYPE_CHECKING:
    from pathlib import Path


def run(root: Path, bench: str) -> None:
    """Write the factorial of ``bench``.

    Raises:
        UnknownNameError: No such bench.
    """
    if bench != Bench.FLEET:
        raise UnknownNameError(f"no factorial on bench '{bench}'; there is: {Bench.FLEET}")
    stack = fleet.stack(root)
    rows, refused = estimation.joint_rows(fleet.workbench(root), [layers.layer(name) for name in stack.layers])
    folder = root / "data" / "joint"
    JOINT.write(JOINT.frame(rows), folder / f"{bench}.parquet")
    fleet.tell(folder / f"{bench}.json", {"layers": list(stack.layers)}, refused)


if __name__ == "__main__":
    entry.main("joint", run)
