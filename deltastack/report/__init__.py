"""Tables, figures and the page, from results (pure)."""

from deltastack.analysis.results import HEADLINE, Results, compute
from deltastack.report.metrics_json import metrics, wording
from deltastack.report.text.evidence_card import card_markdown, escaped
from deltastack.report.text.terminal import layer_lines, summary_lines

__all__ = [
    "HEADLINE",
    "Results",
    "card_markdown",
    "compute",
    "escaped",
    "layer_lines",
    "metrics",
    "summary_lines",
    "wording",
]
