"""How a run looks in MLflow's pages: its name, its metrics, the columns of the saved view, what stands side by side.

MLflow's compare page selects the first metric that was logged and shows, side by side, the files that lie at the top of both
runs' artifacts; its list of runs shows the columns of a saved view (a tag of the experiment, chosen under *Views*). So a run
logs the numbers of the first screen alone, and the table of totals and the waterfalls are copied to the top; every other number
is in its file reports/metrics.json. Checked with MLflow 3.17.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from flows import totals, tracking_page
from tasks import outbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

TABLE = tracking_page.TOTALS
VIEW = "mlflow.sharedViewState.deltastack-totals"
"""The tag that holds the saved view; what follows the last dot goes into ``?viewStateShareKey=``."""
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",  # the list of runs, not of traces, is the first page
    "mlflow.note.content": (
        "What a stack of optimizations really saves. One run a set of results, nested runs its layers.\n\n"
        "- **Views > Totals** shows what is predicted, what is measured together, and the gap.\n"
        "- Tick two runs, **Compare**: parameters that differ under *Show diff only*, the totals under *Artifacts*.\n"
        "- A run's description is its evidence card; `canonical = false` may not be quoted."
    ),
}
GAP = "gap"
SHOWN = (".predicted", ".together", f".{GAP}")
"""The columns of the saved view, by the end of a metric's name."""
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


def metrics(content: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of a run, in the order of the first screen; all there are where a set of results has no headline.

    >>> metrics({"headline": {"fleet.energy_j.gap": 0.02}, "metrics": {"gap.fleet.energy_j.weighted": 0.1}})
    {'fleet.energy_j.gap': 0.02}
    """
    return dict(content.get("headline") or content["metrics"])


def of_layer(content: Mapping[str, Any], layer: str) -> dict[str, float]:
    """The metrics of a layer's own run: its saving alone and its share, in the places of the first screen.

    >>> of_layer({"headline": {"fleet.energy_j.gap": 0.02}, "metrics": {"layer/a/delta.fleet.energy_j": 0.5,
    ...     "layer/a/delta.fleet.io_byte": 0.1, "layer/b/delta.fleet.energy_j": 0.2, "shapley/a.fleet.energy_j.lo": 0.3}}, "a")
    {'layer/a/delta.fleet.energy_j': 0.5, 'shapley/a.fleet.energy_j.lo': 0.3}
    """
    own = {n: v for n, v in content["metrics"].items() if n.startswith((f"layer/{layer}/", f"shapley/{layer}."))}
    places = {n.rpartition(".")[0] for n in content.get("headline") or () if n.endswith(f".{GAP}")}
    heads = (f"layer/{layer}/delta.", f"shapley/{layer}.")
    shown = {f"{head}{place}{end}" for head in heads for place in places for end in ("", ".lo", ".hi")}
    return {n: v for n, v in own.items() if n in shown or not places}


def view(names: Iterable[str], at_ms: int) -> str:
    """The saved view *Totals*: of each card what is predicted, measured together and the gap, and whether it may be quoted."""
    numbers = [f"metrics.`{n}`" for n in names if n.endswith(SHOWN)]
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
