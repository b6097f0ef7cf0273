"""Write the report's files: page, figures as PNG, SVG and CSV, and plain data for ``dvc plots``."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from deltastack.composition import read_published
from deltastack.contracts import atomic
from deltastack.errors import EvidenceError
from deltastack.report.context import ReportContext, Swing, swings
from deltastack.report.figures import figures
from deltastack.report.html import page
from tasks import claims, engines, history, imported, recorded, results

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from deltastack.analysis.analysis import Analysis

PAGE = "reports/report.html"
CLAIMS, GLOSSARY = "reports/claims.html", "reports/glossary.html"
FIGURES = "reports/figures"
SENSITIVITY = "data/sensitivity"
PROVENANCE = {
    "Code": "the commit is on the MLflow run (tag git.commit); the parameters and hashes of every stage are in dvc.lock",
    "Numbers": "reports/metrics.json by dotted name, such as delta_total.fleet.energy_j.joint; a figure's in its CSV",
    "Data": "data/total.parquet from data/joint/ (every set of layers), data/delta/ (each technique), data/baseline/, "
    "data/workload.parquet; columns and units in deltastack/contracts/tables.py",
    "Formulas": "deltastack/composition/formulas.py and deltastack/statistics/; what was decided and why in docs/decisions/",
    "Parameters": "params/layers/ (layers), params/fleet.yaml (power, prices, carbon), params/platforms/ (hardware): "
    "each value with its range, source, date and evidence",
    "To make it again": "make run (or dvc repro); deltastack report writes this page from the tables that are there",
}


def write(root: Path, analysis: Analysis, said: Mapping[str, Any] | None = None) -> Path:
    """Write everything and return the path of the page."""
    folder = root / FIGURES
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    more, today = context(root, analysis), datetime.now(UTC).strftime("%-d %B %Y")
    drawn = [(figure, page.svg(figure)) for figure in figures(analysis, more.swings, today)]
    for figure, text in drawn:
        (folder / f"{figure.name}.svg").write_text(text, encoding="utf-8")
        (folder / f"{figure.name}.png").write_bytes(page.png(text))
        figure.rows.to_csv(folder / f"{figure.name}.csv", index=False)
    texts = {
        PAGE: page.html(analysis, PROVENANCE, drawn, more, said, today),
        CLAIMS: page.claims(analysis, more),
        GLOSSARY: page.glossary(),
    }
    for place, text in texts.items():
        with atomic(root / place) as part:
            part.write_text(text, encoding="utf-8")
    return root / PAGE


def context(root: Path, analysis: Analysis) -> ReportContext:
    """What the page shows with the analysis, from what is there in this checkout.

    Raises:
        ParamsError: A registry of claims, a list of cases or params/report.yaml that does not hold.
        ContractError: An imported table that breaks its contract.
        EvidenceError: A table of sensitivities, or findings of an engine, that are none.
    """
    return ReportContext(
        findings=claims.held(root, analysis),
        cases=read_published(root / claims.CASES),
        imported=tuple(imported.savings(root, analysis.stack.confidence)),
        engines=engines.shown(root),
        recorded=recorded.shown(root),
        beside=recorded.beside(root),
        history=history.read(root),
        swings=read_swings(root),
        view=results.view(root),
    )


def read_swings(root: Path) -> tuple[Swing, ...]:
    """The sensitivities of this checkout.

    Raises:
        EvidenceError: A file that is no table of them.
    """
    found: list[Swing] = []
    for path in sorted((root / SENSITIVITY).glob("*.json")):
        try:
            found += swings(json.loads(path.read_text()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise EvidenceError(f"{path} is no table of sensitivities ({error!r}): dvc repro the stage that writes it") from error
    return tuple(found)
