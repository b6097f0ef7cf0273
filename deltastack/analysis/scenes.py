"""The table scene x layer: what saves where, and when the product may be used (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from deltastack.evaluation.delta_summary import savings
from deltastack.evaluation.fleet_estimates import ALL
from deltastack.model import OperatingPoint, Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from deltastack.evaluation.delta_summary import Saving

PRODUCT = "independent"
JOINT = "joint"


class Cell(NamedTuple):
    """What one layer, or the whole stack, saves in one scene; negative is a loss."""

    delta: float | None
    lo: float | None
    hi: float | None
    reason: str | None


class Line(NamedTuple):
    """One scene on one operating point and resource."""

    scene: str
    operating_point: OperatingPoint
    resource: Resource
    layers: dict[str, Cell]
    joint: Cell
    gap: float | None
    """The product of the single savings less the joint saving."""
    verdict: str
    """Whether the product may be used there: ``holds``, ``fails`` or ``undecided``."""
    why: str | None = None
    """In how many draws it holds."""


def scene_rows(
    scene: str, deltas: Iterable[pd.DataFrame], total: pd.DataFrame, on: Mapping[str, Sequence[str]]
) -> list[tuple[object, ...]]:
    """Rows of SCENES.

    Args:
        scene: Its name.
        deltas: One table DELTA a layer.
        total: The scene's totals (contract TOTAL).
        on: By layer, the techniques that are on.
    """
    rows: list[tuple[object, ...]] = []
    for table in deltas:
        if len(table):
            layer, canonical = str(table["layer"].iloc[0]), bool(table["canonical"].iloc[0])
            rows += [_saved(scene, layer, s, on, canonical) for s in savings(_plain(table))]
    for r in _records(total):
        kind = "joint" if r["formula"] == JOINT else "formula"
        head = (scene, r["operating_point"], r["resource"], kind, r["formula"], True)
        numbers = (r["delta"], r["lo"], r["hi"], r["gap"], r["verdict"], r["evidence"])
        rows.append((*head, *numbers, r["reason"], r["canonical"]))
    return rows


def lines(tables: Sequence[pd.DataFrame], resources: Sequence[Resource] = (Resource.ENERGY_J,)) -> list[Line]:
    """One line a scene, operating point and resource, from tables SCENES in order; those without a joint run are left out."""
    found = []
    for table in tables:
        for (scene, operating_point, resource), rows in table.groupby(["scene", "operating_point", "resource"], sort=False):
            records = {(r["kind"], r["subject"]): r for r in _records(rows)}
            whole, product = records.get(("joint", JOINT)), records.get(("formula", PRODUCT))
            if resource not in resources or whole is None or product is None:
                continue
            layers = {r["subject"]: _cell(r) for (kind, _), r in records.items() if kind == "layer"}
            named = (str(scene), OperatingPoint(str(operating_point)), Resource(str(resource)))
            found.append(Line(*named, layers, _cell(whole), product["gap"], str(product["verdict"]), product["reason"]))
    return found


def _saved(
    scene: str,
    layer: str,
    s: Saving,
    on: Mapping[str, Sequence[str]],
    canonical: bool,  # noqa: FBT001 - a column
) -> tuple[object, ...]:
    kind, subject = ("layer", layer) if s.technique == ALL else ("technique", f"{layer}/{s.technique}")
    is_on = bool(on.get(layer)) if kind == "layer" else s.technique in on.get(layer, ())
    numbers = (s.delta, s.low, s.high, None, None)
    return (scene, s.operating_point, s.resource, kind, subject, is_on, *numbers, s.evidence, s.reason, canonical)


def _cell(record: Mapping[str, Any]) -> Cell:
    return Cell(record["delta"], record["lo"], record["hi"], record["reason"])


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as mappings; a null is None."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(k): v for k, v in row.items()} for row in plain.to_dict("records")]


def _plain(table: pd.DataFrame) -> list[tuple[object, ...]]:
    return [tuple(row) for row in table.astype(object).where(table.notna(), None).itertuples(index=False)]
