"""Write the report's files: page, figures as PNG, SVG and CSV, and plain data for ``dvc plots``."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from deltastack.contracts import atomic
from deltastack.report.figures import figures
from deltastack.report.page import html, png, svg

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.report import Results

PAGE = "reports/report.html"
FIGURES = "reports/figures"
PROVENANCE = {
    "Code": "the commit and parameters are in dvc.lock and on the MLflow run",
    "Data": "data/workload.parquet, data/baseline.parquet, data/delta/, data/joint/, data/total.parquet",
    "To make it again": "make run (or dvc repro); deltastack report writes this page from the tables that are there",
}


def write(root: Path, results: Results) -> Path:
    """Write everything and return the path of the page."""
    folder = root / FIGURES
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    drawn = {}
    for figure in figures(results):
        drawn[figure.name] = svg(figure)
        (folder / f"{figure.name}.svg").write_text(drawn[figure.name], encoding="utf-8")
        (folder / f"{figure.name}.png").write_bytes(png(figure))
        figure.rows.to_csv(folder / f"{figure.name}.csv", index=False)
    with atomic(root / PAGE) as part:
        part.write_text(html(results, PROVENANCE, drawn), encoding="utf-8")
    return root / PAGE
