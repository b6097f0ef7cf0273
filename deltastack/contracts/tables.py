"""The tables that cross a stage: their columns, units, keys and relations (design: the graph)."""

from __future__ import annotations

from deltastack.contracts.column import Column
from deltastack.contracts.contract import Contract
from deltastack.contracts.relation import Absence, Single
from deltastack.contracts.upgrade import Upgrade
from deltastack.model import NO_SCENE, Bench, Component, Evidence, IntervalKind, OperatingPoint, Resource
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
_SCENE = Column(name="scene", dtype="string", unit="text", default=NO_SCENE)
"""What was simulated (params/scenes), last so that a bench without scenes need not name one."""
_REPLICATE = _count("replicate", "index")
_ONE_HOST = Single(column="host", within=("bench",))


def _amount(name: str) -> Column:
    return Column(name=name, dtype="float64", unit="resource", nullable=True)


_SCENES_CAME = Upgrade(since=1, renamed={"basis": "operating_point"}, added=("scene",))
"""Version 1 knew no scenes, and called the operating point its basis."""


def _missing(*columns: str) -> Absence:
    return Absence(columns=columns)


WORKLOAD = Contract(
    name="workload",
    version=2,
    columns=(
        _count("request", "index"),
        Column(name="arrival_s", dtype="float64", unit="s", low=0),
        _count("images", "image"),
        _count("image_tokens", "token"),
        _count("prompt_tokens", "token", 1),
        _count("output_tokens", "token", 1),
        _count("prefix_tokens", "token", nullable=True),
        _count("reuse_tokens", "token", nullable=True),
        _count("reuse_requests", "request", nullable=True),
    ),
    key=("request",),
    remedy="dvc repro workload",
)
"""Requests in order of arrival. ``prompt_tokens`` counts all context tokens, the ``image_tokens`` among
them; ``prefix_tokens`` are leading tokens that ``reuse_requests`` earlier ones already brought, and ``reuse_tokens`` the room
in which a cache that forgets the least recently used still has them (null: not known)."""

USAGE = Contract(
    name="usage",
    version=2,
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
        _SCENE,
    ),
    key=("bench", "operating_point", "replicate", "component", "resource", "scene"),
    relations=(_missing("amount"), _ONE_HOST),
    remedy="dvc repro baseline@SCENE",
)
"""Amounts per request (fleet) or per session (testbed) with nothing switched. ``replicate`` numbers process
starts on the testbed and parameter draws on the fleet (0 is the central value)."""

DELTA = Contract(
    name="delta",
    version=2,
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
        _SCENE,
    ),
    key=("layer", "technique", "bench", "operating_point", "replicate", "component", "resource", "scene"),
    relations=(_missing("base", "optimized"), _ONE_HOST),
    remedy="dvc repro estimate@SCENE or measure@LAYER",
    upgrades=(_SCENES_CAME,),
)
"""Base and optimized amounts of one layer. ``technique`` is a technique's name, or ``all`` for the layer with
every technique that params switch on."""

JOINT = Contract(
    name="joint",
    version=2,
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
        _SCENE,
    ),
    key=("cell", "bench", "operating_point", "block", "replicate", "position", "component", "resource", "scene"),
    relations=(_missing("amount"), _ONE_HOST),
    remedy="dvc repro joint@SCENE or joint@BENCH",
    upgrades=(_SCENES_CAME,),
)
"""The factorial: every run of every cell (``model.cell_name``), in the order it was run."""

COUNTER = Contract(
    name="counter",
    version=1,
    columns=(
        _text("cell"),
        _BENCH,
        _BASIS,
        _count("block", "index"),
        _count("position", "index"),
        _REPLICATE,
        _text("counter"),
        Column(name="amount", dtype="float64", unit="1"),
        _EVIDENCE,
        _HOST,
        _CANONICAL,
    ),
    key=("cell", "bench", "operating_point", "block", "replicate", "position", "counter"),
    relations=(_ONE_HOST,),
    remedy="dvc repro engine",
)
"""What a serving engine counted in each run: tokens computed and cached, drafts accepted, latencies; a name's suffix is its unit.
A counter that an engine does not have has no row."""

QUALITY = Contract(
    name="quality",
    version=2,
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
        _SCENE,
    ),
    key=("bench", "subject", "metric", "scene"),
    relations=(Absence(columns=("change", "lo", "hi"), exact=False), _ONE_HOST),
    remedy="dvc repro measure@LAYER, estimate@SCENE, joint@SCENE or joint@BENCH",
    upgrades=(_SCENES_CAME,),
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

SCENES = Contract(
    name="scenes",
    version=1,
    columns=(
        _text("scene"),
        _BASIS,
        _RESOURCE,
        _text("kind", "technique", "layer", "joint", "formula"),
        _text("subject"),
        Column(name="on", dtype="bool", unit="flag"),
        Column(name="delta", dtype="float64", unit="1", nullable=True),
        Column(name="lo", dtype="float64", unit="1", nullable=True),
        Column(name="hi", dtype="float64", unit="1", nullable=True),
        Column(name="gap", dtype="float64", unit="1", nullable=True),
        _text("verdict", *Verdict, OBSERVED, nullable=True),
        _EVIDENCE,
        _REASON,
        _CANONICAL,
    ),
    key=("scene", "operating_point", "resource", "kind", "subject"),
    relations=(Absence(columns=("delta",), exact=False),),
    remedy="deltastack run --scene NAME",
)
"""What saves in one scene: every technique alone (``LAYER/TECHNIQUE``), every layer with all of its techniques that are on, the
joint run, and each formula with its gap. ``on``: whether the scene's stack has it."""

SWEEP = Contract(
    name="sweep",
    version=1,
    columns=(
        _text("scene"),
        _text("platform"),
        _text("precision"),
        _REPLICATE,
        Column(name="rate_per_s", dtype="float64", unit="per_s", low=0),
        Column(name="met", dtype="float64", unit="1", nullable=True, low=0, high=1),
        *(Column(name=f"{name}_p99_s", dtype="float64", unit="s", nullable=True, low=0) for name in ("ttft", "tpot", "e2e")),
        Column(name="power_w", dtype="float64", unit="w", nullable=True, low=0),
        Column(name="energy_j", dtype="float64", unit="j", nullable=True, low=0),
        Column(name="cost_usd", dtype="float64", unit="usd", nullable=True, low=0),
        Column(name="carbon_g", dtype="float64", unit="g", nullable=True, low=0),
        _EVIDENCE,
        _REASON,
    ),
    key=("scene", "platform", "precision", "replicate", "rate_per_s"),
    relations=(Absence(columns=("met", "ttft_p99_s", "e2e_p99_s", "power_w", "energy_j", "cost_usd", "carbon_g")),),
    remedy="deltastack sweep",
)
"""A scene with nothing switched on, on a platform, in a precision, at a rate: the share of requests that meets its goal, the
99th percentiles, the power of all accelerators, and what a request takes. Amounts stand where enough requests meet their goal."""

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
        _text("interval", *IntervalKind, nullable=True),
        _count("samples", "draws or blocks", 1, nullable=True),
        _SCENE,
    ),
    key=("bench", "operating_point", "resource", "formula", "scene"),
    relations=(
        Absence(columns=("delta", "lo", "hi"), exact=False),
        Absence(columns=("gap", "gap_lo", "gap_hi"), exact=False, unless=("verdict", OBSERVED)),
    ),
    remedy="dvc repro aggregate",
)
"""Totals by formula and the observed joint result; gap = formula - joint, as a fraction. ``interval`` says what lo and hi are."""
