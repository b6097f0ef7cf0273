"""The table scene x technique, and what published figures say of it: ``python -m benchmarks.scenes [--write]``.

Rows are those of data/scene (``make run SCENE=all``). ``--write`` puts both tables into docs/layers.md.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import _published
from deltastack.contracts import SCENES, atomic
from deltastack.errors import EvidenceError
from deltastack.model import OperatingPoint, Resource

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

ROOT = Path(__file__).parents[1]
DOC = ROOT / "docs" / "layers.md"
OWN = {"block_alignment": Resource.TIME_S, "memory_pool": Resource.COST_USD, "zns": Resource.COST_USD}
"""What a technique is for, where that is not energy: weights that load sooner, memory and flash that is not bought."""
FIRST, LAST = "<!-- scenes: python -m benchmarks.scenes --write -->", "<!-- end of scenes -->"


def main() -> None:
    """Print both tables, and write them where asked."""
    scenes = tables(ROOT)
    text = "\n".join(
        [*table(scenes), "", *own(scenes), "", *published(_published.held([r for t in scenes for r in _records(t)]))]
    )
    print(text)
    if "--write" in sys.argv:
        write(text)


def tables(root: Path) -> list[pd.DataFrame]:
    """The tables of all scenes that were computed.

    Raises:
        EvidenceError: None was.
    """
    found = [SCENES.read(p) for p in sorted((root / "data/scene").glob("*.parquet"))]
    if not found:
        raise EvidenceError("no scene in data/scene: make run SCENE=all")
    return found


def table(scenes: Sequence[pd.DataFrame]) -> list[str]:
    """Lines of Markdown: energy that each technique saves, at capacity / at the trace; the joint run, and the product's gap."""
    names = [str(t["scene"].iloc[0]) for t in scenes]
    energy = [t[t["resource"] == str(Resource.ENERGY_J)] for t in scenes]
    keys = list(dict.fromkeys((r["kind"], r["subject"]) for t in energy for r in _records(t) if r["kind"] != "formula"))
    lines = [f"| energy saved, % | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for kind, subject in sorted(keys, key=lambda k: (k[0] == "joint", k[1].partition("/")[0], k[0], k[1])):
        cells = [_both(t[(t["kind"] == kind) & (t["subject"] == subject)]) for t in energy]
        lines.append(f"| {subject if kind == 'technique' else f'**{subject}**'} | {' | '.join(cells)} |")
    gaps = [_both(t[(t["kind"] == "formula") & (t["subject"] == "independent")], gap=True) for t in energy]
    return [*lines, f"| **the product may be used** | {' | '.join(gaps)} |"]


def own(scenes: Sequence[pd.DataFrame]) -> list[str]:
    """Lines of Markdown: techniques that are not for energy, each in its own resource, to a thousandth of a percent."""
    names = [str(t["scene"].iloc[0]) for t in scenes]
    lines = [f"| saved of its own resource, % | resource | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    for technique, resource in OWN.items():
        rows = [t[(t["kind"] == "technique") & (t["resource"] == str(resource))] for t in scenes]
        cells = [_both(r[r["subject"].str.endswith(f"/{technique}")], digits=3) for r in rows]
        lines.append(f"| {technique} | {resource} | {' | '.join(cells)} |")
    return lines


def published(held: Sequence[_published.Held]) -> list[str]:
    """Lines of Markdown: what others published, and ours; a miss is called one."""
    lines = ["| held against | published | here | |", "|---|---|---|---|"]
    words = [(h, h.verdict) for h in held]
    return lines + [
        f"| {h.what} | {h.published} | {h.ours} | {f'**{word}**' if 'missed' in word else word} |" for h, word in words
    ]


def write(text: str) -> None:
    """Put the tables between their marks in docs/layers.md.

    Raises:
        EvidenceError: The marks are not there.
    """
    content = DOC.read_text(encoding="utf-8")
    before, mark, rest = content.partition(FIRST)
    _, end, after = rest.partition(LAST)
    if not mark or not end:
        raise EvidenceError(f"{DOC.name} lacks the marks {FIRST} and {LAST}")
    with atomic(DOC) as part:
        part.write_text(f"{before}{FIRST}\n{text}\n{LAST}{after}", encoding="utf-8")


def _both(rows: pd.DataFrame, *, gap: bool = False, digits: int = 1) -> str:
    """At capacity / at the trace; the range over the draws in words of the same cell."""
    by = {r["operating_point"]: r for r in _records(rows)}
    return " / ".join(
        _cell(by.get(str(b)), gap=gap, digits=digits) for b in (OperatingPoint.AT_CAPACITY, OperatingPoint.AT_TRACE)
    )


def _cell(record: dict[str, Any] | None, *, gap: bool, digits: int) -> str:
    if record is None:
        return "no row"
    if gap:
        return f"{record['reason'] or record['verdict']} ({100 * record['gap']:+.1f})" if record["gap"] is not None else "-"
    if record["delta"] is None:
        return "-"
    low, high = record["lo"], record["hi"]
    ends = "" if low is None or low == high else f" [{100 * low:.{digits}f}, {100 * high:.{digits}f}]"
    return f"{100 * record['delta']:+.{digits}f}{ends}{'' if record['on'] else ' (off)'}"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(k): v for k, v in row.items()} for row in plain.to_dict("records")]


if __name__ == "__main__":
    main()
