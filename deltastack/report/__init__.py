"""Tables, figures and the page, from results (pure)."""

from deltastack.report.card import card_markdown, escaped
from deltastack.report.metrics import metrics, wording
from deltastack.report.results import HEADLINE, Results, Stack, compute
from deltastack.report.summary import layer_lines, summary_lines

__all__ = [
    "HEADLINE",
    "Results",
    "Stack",
    "card_markdown",
    "compute",
    "escaped",
    "layer_lines",
    "metrics",
    "summary_lines",
    "wording",
]
