"""Stage ``aggregate``: formulas against the observed joint result; data/total.parquet, metrics.json, the page, the figures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from deltastack.analysis.scenes import lines
from deltastack.contracts import TOTAL, atomic
from deltastack.model import Bench, Switches
from deltastack.report import headline_numbers, metrics, wording
from deltastack.report.html.first_screen import first_screen
from tasks import engines, occasions, outbox, results, scenes, stage_runner, write_report

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.analysis.analysis import Analysis


def run(root: Path) -> None:
    """Write the totals, the numbers, the words, the page and its figures; queue them for the tracking server."""
    analysis = results.load(root)
    occasions.note(root, analysis, analysis.stack.runs_kept)
    said = wording(analysis, write_report.read_swings(root))
    said |= {"scenes": _scenes(root, analysis.stack.scene), "no_switch": _no_switch(root, analysis.stack.layers)}
    said |= {"screen": _screen(analysis)}
    said |= {"exact": _beside(root, "exact"), "loading": _beside(root, "loading")}
    said |= {"engines": [e.sentence for e in engines.shown(root)]}
    simulated = analysis.total["bench"].isin([str(b) for b in Bench if b.facts.simulated])
    total = analysis.total.assign(scene=analysis.total["scene"].mask(simulated, analysis.stack.scene))
    TOTAL.write(total, root / "data/total.parquet")
    _json(root / "reports/metrics.json", metrics(analysis))
    _json(root / outbox.HEADLINE, headline_numbers(analysis))
    _json(root / "reports/summary.json", said)
    write_report.write(root, analysis, said)
    outbox.put(root)


def _screen(analysis: Analysis) -> dict[str, Any]:
    """The page's first screen in words: the decision, the places of the cards, and each layer with its advice."""
    screen = first_screen(analysis)
    rows = [{"layer": r.layer, "cells": [c.words for c in r.cells], "advice": r.advice} for r in screen.rows]
    return {"decision": screen.decision, "places": list(screen.places), "rows": rows}


def _scenes(root: Path, first: str) -> list[dict[str, Any]]:
    """What saves in each scene that was computed, one entry a scene and operating point, the headline's first."""
    return [
        line._asdict() | {"layers": {name: cell._asdict() for name, cell in line.layers.items()}, "joint": line.joint._asdict()}
        for line in lines(scenes.shown(root, first))
    ]


def _beside(root: Path, name: str) -> list[dict[str, Any]]:
    """What stands under ``name`` beside the table of every measured bench, with the layers of its factorial."""
    told = {b: outbox.read(root / f"data/joint/{b}.json") for b in Bench if not b.facts.simulated}
    return [{"bench": b, "layers": t["layers"], "card": t[name]} for b, t in told.items() if t.get(name, {}).get("cells")]


def _no_switch(root: Path, layers: tuple[str, ...]) -> list[str]:
    """How many blocks a bench's own plan got, and one line a layer of the stack that it has no switch for, with the reason."""
    found = []
    for bench in (b for b in Bench if b.facts.switches is Switches.OWN):
        told = outbox.read(root / f"data/joint/{bench}.json")
        if "runs" in told:
            what = f"{told['runs']} {told.get('unit', 'server starts')} in {told['blocks']} blocks"
            found.append(f"{bench}: {what}; ended because {told['stopped']}")
        absent = told.get("absent", {})
        title = told.get("title")
        found += [f"{layer}: {title} has {results.no_switch(root, absent[layer])}" for layer in layers if layer in absent]
    return found


def _json(path: Path, value: dict[str, Any]) -> None:
    with atomic(path) as part:
        part.write_text(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    stage_runner.main("aggregate", run)
