"""How a run looks in MLflow's pages: its name, the order of its metrics, the columns of the saved view, what stands side by side.

MLflow's compare page selects the first metric that was logged and shows, side by side, the files that lie at the top of both
runs' artifacts; its list of runs shows the columns of a saved view (a tag of the experiment, chosen under *Views*). So the
joint totals are logged first, and the table of totals and the waterfalls are copied to the top. Checked with MLflow 3.17.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from flows import totals
from tasks import outbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

TABLE = "totals.csv"
VIEW = "mlflow.sharedViewState.deltastack-totals"
"""The tag that holds the saved view; what follows the last dot goes into ``?viewStateShareKey=``."""
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # the list of runs, not of traces, is the first page
    "mlflow.note.content": (
        "What a stack of optimizations really saves. One run a set of results, nested runs its layers.\n\n"
        "- **Views > Totals** shows the joint savings and the gaps of the product as columns.\n"
        "- Tick two runs, **Compare**: parameters that differ under *Show diff only*, the totals under *Artifacts*.\n"
        "- A run's description is its evidence card; `canonical = false` may not be quoted."
    ),
}
WIDTH = 240
"""Pixels of a column, so that the name of its metric is read whole."""
FEW = 2
"""So many layers are named; more are counted."""


def name(content: Mapping[str, Any]) -> str:
    """A name that sorts by time and is short enough for the list.

    >>> name({"created": "2026-11-22T23:50:10+00:00", "layers": ["idle", "storage"], "params": {"stack.effort": "quick"}})
    '2026-11-22T2350Z idle+storage, quick'
    >>> name({"created": "2026-11-22T23:50:10+00:00", "layers": list("abcde"), "params": {}})
    '2026-11-22T2350Z 5 layers'
    """
    stamp = content["created"][:16].replace(":", "")
    layers = content["layers"]
    told = "+".join(layers) if len(layers) <= FEW else f"{len(layers)} layers"
    effort = content["params"].get("stack.effort", "default")
    return f"{stamp}Z {told or 'base'}{'' if effort == 'default' else f', {effort}'}"


def tags(content: Mapping[str, Any]) -> dict[str, str]:
    """What MLflow shows as source, version and user of a run."""
    made = content["tags"]
    found = {"mlflow.source.name": f"deltastack run ({made.get('source', 'dvc')})", "mlflow.source.type": "LOCAL"}
    commit = made.get("git.commit")
    return found | ({"mlflow.source.git.commit": commit} if commit else {})


def ordered(metrics: Mapping[str, float]) -> dict[str, float]:
    """The same metrics: joint totals first, then what the formulas say and miss, then the layers; intervals last.

    >>> list(ordered({"layer/a/delta.fleet.x": 1, "gap.fleet.x.weighted": 1, "delta_total.fleet.x.joint.lo": 1,
    ...               "delta_total.fleet_at_trace.energy_j.joint": 1, "delta_total.fleet.energy_j.joint": 1}))[:3]
    ['delta_total.fleet.energy_j.joint', 'delta_total.fleet_at_trace.energy_j.joint', 'gap.fleet.x.weighted']
    """
    return {n: metrics[n] for n in sorted(metrics, key=_place)}


def _place(metric: str) -> tuple[bool, int, bool, int, int]:
    """Interval or not, kind, headline basis or not, resource, bench."""
    parts = metric.split(".")
    totals_of = metric.startswith(("delta_total.", "gap."))
    kind = 0 if totals_of and parts[-1] == "joint" else 1 if totals_of else 2
    bench = next((i for i, b in enumerate(totals.BASES) if b in parts), len(totals.BASES))
    resource = next((i for i, r in enumerate(totals.RESOURCES) if r in parts), len(totals.RESOURCES))
    return parts[-1] in {"lo", "hi"}, kind, "_at_" in metric, resource, bench


def view(metrics: Iterable[str], at_ms: int) -> str:
    """The saved view *Totals*: joint savings of the headline bases, the product's gaps, verdict, whether it may be quoted."""
    known = list(ordered(dict.fromkeys(metrics, 0.0)))
    joint = [n for n in known if n.startswith("delta_total.") and n.endswith(".joint") and "_at_" not in n]
    joint = [n for n in joint if n.split(".")[2] in totals.RESOURCES]
    gaps = [g for n in joint if (g := f"gap.{'.'.join(n.split('.')[1:3])}.independent") in known]
    numbers = [f"metrics.`{n}`" for n in (*joint, *gaps)]
    columns = [*numbers, "tags.`verdict`", "tags.`canonical`", "attributes.`Source`"]
    widths = dict.fromkeys(numbers, WIDTH)
    state = json.dumps({"selectedColumns": columns, "columnOrder": numbers, "columnWidths": widths})
    return json.dumps({"name": "Totals", "createdAt": at_ms, "updatedAt": at_ms, "state": state})


def table(files: Path) -> str | None:
    """The table of totals as CSV; None if there is no total."""
    rows = totals.narrow(totals.table(outbox.read(files / outbox.METRICS)))
    if not rows:
        return None
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def pictures(files: Path) -> list[Path]:
    """The waterfalls, which the compare page shows side by side."""
    return sorted((files / "reports").glob("**/waterfall*.png"))
