"""``read``: what a run left in a checkout, as data frames."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deltastack import contracts, home
from deltastack.answer import Answer
from deltastack.errors import EvidenceError
from deltastack.outcomes import Formula

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from deltastack.contracts import Contract

_KEYS = ["scene", "bench", "operating_point", "resource"]
_WHERE = {
    "total": contracts.TOTAL,
    "delta": contracts.DELTA,
    "joint": contracts.JOINT,
    "counter": contracts.COUNTER,
    "quality": contracts.QUALITY,
    "baseline": contracts.USAGE,
    "scene": contracts.SCENES,
    "imported": contracts.IMPORTED,
    "workload": contracts.WORKLOAD,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Results(Answer):
    """The tables and numbers of the last run of a checkout."""

    root: Path

    @property
    def tables(self) -> tuple[str, ...]:
        """The names that ``table`` takes: paths under ``data`` without their ending, such as ``joint/assistant``."""
        data = self.root / "data"
        return tuple(sorted(str(p.relative_to(data).with_suffix("")) for p in data.rglob("*.parquet") if _contract(data, p)))

    def table(self, name: str) -> pd.DataFrame:
        """One table, checked by its contract.

        Raises:
            EvidenceError: No such table; the message lists what there is.
            ContractError: It breaks its contract.
        """
        if name not in self.tables:
            raise EvidenceError(f"no table '{name}' in {self.root / 'data'}; there are: {', '.join(self.tables) or 'none'}")
        path = (self.root / "data" / name).with_suffix(".parquet")
        known = _contract(self.root / "data", path)
        assert known is not None  # noqa: S101 - ``tables`` lists only those with a contract
        return known.read(path)

    @property
    def metrics(self) -> dict[str, Any]:
        """Every number of reports/metrics.json.

        Raises:
            EvidenceError: The run has written none.
        """
        return self._json("metrics.json")

    @property
    def summary(self) -> dict[str, Any]:
        """What the closing table of ``make run`` is made of.

        Raises:
            EvidenceError: The run has written none.
        """
        return self._json("summary.json")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the rows of ``to_frame``."""
        return {"totals": json.loads(self.to_frame().to_json(orient="records"))}

    def to_frame(self) -> pd.DataFrame:
        """One row a scene, bench, operating point and resource: predicted by the product, measured together, gap, verdict."""
        total = self.table("total")
        product = total[total["formula"] == Formula.INDEPENDENT].set_index(_KEYS)
        joint = total[total["formula"] == Formula.JOINT].set_index(_KEYS)
        found = product[["delta", "gap", "gap_lo", "gap_hi", "verdict"]].rename(columns={"delta": "predicted"})
        found.insert(1, "measured_together", joint["delta"])
        return found.reset_index()

    def _chart(self) -> alt.Chart:
        import altair as alt

        rows = self.to_frame().melt(
            id_vars=_KEYS, value_vars=["predicted", "measured_together"], var_name="how", value_name="saving"
        )
        rows["what"] = rows["bench"] + ", " + rows["resource"]
        points = alt.Chart(rows, title="Saving predicted by the product, and measured together").mark_point(filled=True, size=90)
        found: alt.Chart = points.encode(x=alt.X("saving").axis(format="%"), y="what", color="how").facet(row="operating_point")
        return found

    def __str__(self) -> str:
        """The rows of ``to_frame`` as text."""
        return str(self.to_frame().to_string(index=False, float_format=lambda v: f"{v:+.3f}", na_rep="-"))

    def _json(self, name: str) -> dict[str, Any]:
        path = self.root / "reports" / name
        if not path.is_file():
            raise EvidenceError(f"no reports/{name} in {self.root}: run `deltastack run`")
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found


def read(folder: str | Path | None = None) -> Results:
    """Open the results of a checkout.

    Args:
        folder: A folder inside the checkout; None takes the current one.

    Raises:
        PreflightError: No checkout there.
        EvidenceError: A checkout without results.
    """
    found = Results(root=home.checkout(Path.cwd() if folder is None else Path(folder).resolve()))
    if "total" not in found.tables:
        raise EvidenceError(f"no results in {found.root / 'data'}: run `make run` or `deltastack run`")
    return found


def _contract(data: Path, path: Path) -> Contract | None:
    """The contract of a table by its folder under ``data``; None for a file that is no table of ours."""
    return _WHERE.get(path.relative_to(data).with_suffix("").parts[0])
