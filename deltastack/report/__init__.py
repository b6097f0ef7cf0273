"""Render an analysis: terminal, page, Markdown, figures, metrics.json. Nothing is computed here and no file of data is opened."""

from deltastack.report.metrics_json import headline_numbers, metrics, wording
from deltastack.report.text.closing import closing_lines
from deltastack.report.text.evidence_card import card_markdown, escaped
from deltastack.report.text.terminal import layers, summary_lines, targets, totals

__all__ = [
    "card_markdown",
    "closing_lines",
    "escaped",
    "headline_numbers",
    "layers",
    "metrics",
    "summary_lines",
    "targets",
    "totals",
    "wording",
]
