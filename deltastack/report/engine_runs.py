"""Runs of further engines (``deltastack engine run``) as rows of the page and lines of the terminal; they enter no total."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from deltastack import formatting
from deltastack.model import Bench, Resource
from deltastack.outcomes import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

OBSERVED = "joint"
PRODUCT = "independent"
_WORDS = {OBSERVED: "all together, observed", PRODUCT: "all together by the product rule"}


class Row(NamedTuple):
    """One line: what saves, its saving, and for a formula its gap and verdict."""

    what: str
    saving: str
    gap: str
    verdict: Verdict | None


class EngineRun(NamedTuple):
    """One engine's experiment, in words."""

    title: str
    resource: str
    rows: tuple[Row, ...]
    sentence: str
    notes: tuple[str, ...]


def engine_run(found: Mapping[str, Any]) -> EngineRun:
    """Findings of ``deltastack engine run``, as ``--json`` prints them.

    Raises:
        KeyError: They lack a part.
    """
    resource = formatting.resource(Bench.ENGINE, Resource(found["quantity"]))
    techniques = [t.replace("_", " ") for layer in found["layers"] for t in found["techniques"][layer]]
    alone = [_alone(row, found) for row in found["cells"] if row["cell"] in found["layers"]]
    formulas = [_formula(row) for row in found["formulas"]]
    together = {row["formula"]: row for row in found["formulas"]}
    sentence = f"{found['title']}, {resource}: {_sentence(together, len(found['layers']))} ({', '.join(techniques)})"
    notes = (
        _floor(found["floor"]),
        f"{found['runs']} {found.get('unit', 'server starts')} in {found['blocks']} blocks; ended because {found['stopped']}",
    )
    return EngineRun(
        found["title"], resource, (*alone, *formulas), sentence, (*notes, *_accuracy(found["quality"]), f"run on {found['host']}")
    )


def _sentence(together: Mapping[str, Any], layers: int) -> str:
    observed, product = together.get(OBSERVED), together.get(PRODUCT)
    if observed is None or product is None or observed["delta"] is None:
        return "no factorial, so no joint saving"
    told = f"{layers} layers together {_saving(observed)}, by the product {formatting.percent(product['delta'])}"
    return f"{told}, gap {_gap(product)}: {product['verdict']}"


def _alone(row: Mapping[str, Any], found: Mapping[str, Any]) -> Row:
    names = ", ".join(found["techniques"][row["cell"]]).replace("_", " ")
    said = _saving(row) if row["delta"] is not None else f"not compared: {row['why']}"
    return Row(f"{row['cell'].replace('_', ' ')} alone ({names})", said, "", None)


def _formula(row: Mapping[str, Any]) -> Row:
    what = _WORDS.get(row["formula"], f"all together, {row['formula'].replace('_', ' ')}")
    if row["delta"] is None:
        return Row(what, f"not formed: {row['reason']}", "", None)
    gap, verdict = ("", None) if row["formula"] == OBSERVED else (_gap(row), Verdict(row["verdict"]))
    return Row(what, _saving(row), gap, verdict)


def _saving(row: Mapping[str, Any]) -> str:
    return f"{formatting.percent(row['delta'])} {formatting.ends((row['lo'], row['hi']))}"


def _gap(row: Mapping[str, Any]) -> str:
    return f"{formatting.points(row['gap'])} {formatting.ends((row['gap_lo'], row['gap_hi']))}"


def _floor(floor: Mapping[str, Any] | None) -> str:
    if floor is None:
        return "no A/A twin, so no noise floor"
    return f"A/A noise floor {formatting.ends((floor['lo'], floor['hi']))} % from {floor['pairs']} units"


def _accuracy(rows: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """Right answers of the base, and of the cell that has the fewest; nothing where no question has a known answer."""
    asked = [r for r in rows if r["metric"] == "accuracy"]
    if not asked:
        return ()
    least = min(asked, key=lambda r: r["value"])
    base, other = (formatting.percent(least[k]).lstrip("+") for k in ("base", "value"))
    return (f"right answers to {least['n']:g} questions: base {base}, fewest {other} ({least['subject'].replace('_', ' ')})",)
