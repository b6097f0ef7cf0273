"""Write the two pictures of docs/architecture.md from pyproject.toml and dvc.yaml: ``python scripts/architecture.py``."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
MARK = re.compile(r"(<!-- (packages|stages) -->\n).*?(<!-- end -->)", re.DOTALL)


def floors() -> list[list[str]]:
    """The floors of the import contract, highest first; packages of one floor stand together."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    tower = next(c for c in contracts if c["type"] == "layers")
    return [[p.strip() for p in re.split(r"[:|]", floor)] for floor in tower["layers"]]


def packages() -> str:
    """The tower as Mermaid: a floor may import every floor below it."""
    found = floors()
    boxes = [f'  f{n}["{"<br/>".join(p.removeprefix("deltastack.") for p in floor)}"]' for n, floor in enumerate(found)]
    arrows = [f"  f{n} --> f{n + 1}" for n in range(len(found) - 1)]
    return "\n".join(["```mermaid", "flowchart TD", *boxes, *arrows, "```", ""])


def stages() -> str:
    """The graph as Mermaid, one box for all stages of one name."""
    from dvc.repo import Repo

    with Repo(str(ROOT)) as repo:
        graph = repo.index.graph
        names = sorted({_kind(stage) for stage in graph.nodes})
        arrows = sorted({(_kind(before), _kind(after)) for after, before in graph.edges})
    lines = [f"  {before} --> {after}" for before, after in arrows]
    return "\n".join(["```mermaid", "flowchart LR", *(f'  {n}["{n}"]' for n in names), *lines, "```", ""])


def _kind(stage: object) -> str:
    return str(getattr(stage, "name", stage)).split("@", maxsplit=1)[0]


def page(text: str) -> str:
    """``text`` with both pictures written again."""
    pictures = {"packages": packages(), "stages": stages()}
    return MARK.sub(lambda m: m[1] + pictures[m[2]] + m[3], text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
