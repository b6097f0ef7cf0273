"""The tables that cross a stage: their columns, units, keys and relations (design: the graph)."""

from __future__ import annotations

from deltastack.contracts.column import Column
from deltastack.contracts.contract import Contract
from deltastack.contracts.relation import Absence, Single
from deltastack.model import Bench, Component, Evidence, OperatingPoint, Resource
from deltastack.outcomes import OBSERVED, Formula, Verdict


def _text(name: str, *among: str, nullable: bool = False) -> Column:
    return Column(name=name, dtype="string", unit="text", among=among, nullable=nullable)


def _count(name: str, unit: str, low: float = 0, *, nullable: bool = False) -> Column:
    return Column(name=name, dtype="int64", unit=unit, low=low, nullable=nullable)


_BENCH = _text("bench", *Bench)
_COMPONENT = _text("component", *Component)
_RESOURCE = _text("resource", *Resource)
_BASIS = _text("operating_point", *OperatingPoint)
_EVIDENCE = _text("evidence", *Evidence)
_REASON = _text("reason", nullable=True)
_HOST = _text("host")
_CANONICAL = Column(name="canonical", dtype="bool", unit="flag")
_REPLICATE = _count("replicate", "index")
_ONE_HOST = Single(column="host", within=("bench",))


def _amount(name: str) -> Column:
    return Column(name=name, dtype="float64", unit="resource", nullable=True)


def _missing(*columns: str) -> Absence:
    return Absence(columns=columns)


WORKLOAD = Contract(
    name="workload",
    version=1,
    columns=(
        _count("request", "index"),
        Column(name="arrival_s", dtype="float64", unit="s", low=0),
        _count("images", "image"),
        _count("image_tokens", "token"),
        _count("prompt_tokens", "token", 1),
        _count("output_tokens", "token", 1),
        _count("prefix_tokens", "token", nullable=True),
    ),
    key=("request",),
    remedy="dvc repro workload",
)
"""Requests in order of arrival. ``prompt_tokens`` counts all context tokens, the ``image_tokens`` among
them; ``prefix_tokens`` are leading tokens that an earlier request already brought (null: not known)."""

USAGE = Contract(
    name="usage",
    version=1,
    columns=(
        _BENCH,
        _BASIS,
        _REPLICATE,
        _COMPONENT,
        _RESOURCE,
        _amount("amount"),
        _EVIDENCE,
        _REASON,
        _HOST,
        _CANONICAL,
    ),
    key=("bench", "operating_point", "replicate", "component", "resource"),
    relations=(_missing("amount"), _ONE_HOST),
    remedy="dvc repro baseline",
)
"""Amounts per request (fleet) or per session (testbed) with nothing switched. ``replicate`` numbers process
starts on the testbed and parameter draws on the fleet (0 is the central value)."""

DELTA = Contract(
    name="delta",
    version=1,
    columns=(
        _text("layer"),
        _text("technique"),
        _BENCH,
        _BASIS,
        _REPLICATE,
        _COMPONENT,
        _RESOURCE,
        _amount("base"),
        _amount("optimized"),
        _EVIDENCE,
        _REASON,
        _HOST,
        _CANONICAL,
    ),
    key=("layer", "technique", "bench", "operating_point", "replicate", "component", "resource"),
    relations=(_missing("base", "optimized"), _ONE_HOST),
    remedy="dvc repro estimate@LAYER or measure@LAYER",
)
"""Base and optimized amounts of one layer. ``technique`` is a technique's name, or ``all`` for the layer with
every technique that params switch on."""

JOINT = Contract(
    name="joint",
    version=1,
    columns=(
        _text("cell"),
        _BENCH,
        _BASIS,
        _count("block", "index"),
        _count("position", "index"),
        _REPLICATE,
        _COMPONENT,
        _RESOURCE,
        _amount("amount"),
        _EVIDENCE,
        _REASON,
        _HOST,
        _CANONICAL,
    ),
    key=("cell", "bench", "operating_point", "block", "replicate", "position", "component", "resource"),
    relations=(_missing("amount"), _ONE_HOST),
    remedy="dvc repro joint@BENCH",
)
"""The factorial: every run of every cell (``model.cell_name``), in the order it was run."""

QUALITY = Contract(
    name="quality",
    version=1,
    columns=(
        _BENCH,
        _text("subject"),
        _text("metric"),
        _count("n", "question", nullable=True),
        Column(name="base", dtype="float64", unit="1", nullable=True),
        Column(name="value", dtype="float64", unit="1", nullable=True),
        Column(name="change", dtype="float64", unit="1", nullable=True),
        Column(name="lo", dtype="float64", unit="1", nullable=True),
        Column(name="hi", dtype="float64", unit="1", nullable=True),
        _EVIDENCE,
        _REASON,
        _HOST,
        _CANONICAL,
    ),
    key=("bench", "subject", "metric"),
    relations=(Absence(columns=("change", "lo", "hi"), exact=False), _ONE_HOST),
    remedy="dvc repro measure@LAYER, estimate@LAYER or joint@BENCH",
)
"""What a cell (``model.cell_name``) or a technique alone (``LAYER/TECHNIQUE``) does to the answers: change = value - base,
with its interval. Metrics named ``accuracy...`` are fractions of right answers, and what a quality limit is held against."""

IMPORTED = Contract(
    name="imported",
    version=1,
    columns=(
        _text("layer"),
        _text("tool"),
        _text("quantity"),
        _REPLICATE,
        _amount("base"),
        _amount("optimized"),
        Column(name="paired", dtype="bool", unit="flag"),
        _EVIDENCE,
        _REASON,
        _text("conditions"),
        _text("source"),
    ),
    key=("layer", "quantity", "replicate"),
    relations=(_missing("base", "optimized"),),
    remedy="deltastack import --before A.json --after B.json --layer NAME",
)
"""One layer as somebody else's tool measured it somewhere else; the suffix of ``quantity`` is its unit. ``paired``: the
replicates ran side by side."""

TOTAL = Contract(
    name="total",
    version=2,
    columns=(
        _BENCH,
        _BASIS,
        _RESOURCE,
        _text("formula", *Formula),
        Column(name="delta", dtype="float64", unit="1", nullable=True),
        Column(name="lo", dtype="float64", unit="1", nullable=True),
        Column(name="hi", dtype="float64", unit="1", nullable=True),
        Column(name="gap", dtype="float64", unit="1", nullable=True),
        Column(name="gap_lo", dtype="float64", unit="1", nullable=True),
        Column(name="gap_hi", dtype="float64", unit="1", nullable=True),
        _text("verdict", *Verdict, OBSERVED),
        _EVIDENCE,
        _REASON,
        _CANONICAL,
    ),
    key=("bench", "operating_point", "resource", "formula"),
    relations=(
        Absence(columns=("delta", "lo", "hi"), exact=False),
        Absence(columns=("gap", "gap_lo", "gap_hi"), exact=False, unless=("verdict", OBSERVED)),
    ),
    remedy="dvc repro aggregate",
)
"""Totals by formula and the observed joint result; gap = formula - joint, as a fraction."""
