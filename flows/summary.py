"""The few lines that a person reads at the end of a run, from metrics.json."""

from __future__ import annotations

from typing import Any

from tasks import outbox

MOST = 12
"""Lines; two more tell where the report and the runs are."""


def lines(metrics: dict[str, Any]) -> list[str]:
    """Headline totals first, then what else there is, cut at ``MOST`` lines.

    >>> lines({"delta_total": {"fleet": {"energy_j": {"joint": 0.125}}}})
    ['delta_total.fleet.energy_j.joint  12.5 %']
    """
    flat = outbox.numbers(outbox.flatten(metrics))
    ranked = sorted(flat, key=lambda n: (not n.startswith("delta_total"), n))
    return [f"{n}  {100 * flat[n]:.1f} %" for n in ranked[:MOST]]
