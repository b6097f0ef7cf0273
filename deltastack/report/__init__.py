"""Tables, figures and the page, from results (pure)."""

from deltastack.report.metrics import metrics, wording
from deltastack.report.results import HEADLINE, Results, Stack, compute
from deltastack.report.summary import summary_lines

__all__ = ["HEADLINE", "Results", "Stack", "compute", "metrics", "summary_lines", "wording"]
