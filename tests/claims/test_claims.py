"""The registry of claims: the shipped verdicts, savings and targets on planted tables, refusals."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from deltastack import params
from deltastack.analysis.analysis import compute
from deltastack.analysis.occasions import Circumstances
from deltastack.analysis.slo import SloViolation
from deltastack.claims import Claim, Claims, Verdict, checks, judge
from deltastack.claims.recomputed import COMPUTATIONS
from deltastack.claims.recomputed import compute as computed
from deltastack.composition import PaperFigure, read_published
from deltastack.contracts import DELTA, USAGE
from deltastack.errors import ParamsError
from deltastack.model import Bench, Component, Evidence, OperatingPoint, Resource
from deltastack.stack import Stack
from tests.report.synthetic import joint

if TYPE_CHECKING:
    from deltastack.analysis.analysis import Analysis

ROOT = Path(__file__).parents[2]
GPT4 = {"parameters": 180e9, "flop": 1.2e15, "longest_context_tokens": 32768.0}
CARBON = {"energy_mwh": 1287, "kg_per_kwh": 0.429, "t_per_car_year": 4.6, "claimed_t": 552, "claimed_cars": 120}
A100 = {
    "users": 100_000,
    "tokens": 1000,
    "parameters": 180e9,
    "weight_bytes": 2,
    "node": 8,
    "memory_bytes": 80e9,
    "layers": 96,
    "heads": 96,
    "kv_heads": 8,
    "head_size": 128,
    "kv_bytes": 2,
}
SAVING = {"by": "saving", "layer": "storage", "technique": "memory_pool", "resource": "memory_byte_s"}


def table(pairs: list[tuple[float, float | None]], bench: Bench = Bench.FLEET) -> pd.DataFrame:
    """A Δ table of storage/memory_pool: one sample a pair of base and optimized, half of each in two components."""
    rows = []
    for n, (was, now) in enumerate(pairs):
        for component in (Component.STORAGE, Component.HOST):
            amounts = (was / 2, None if now is None else now / 2)
            head = ("storage", "memory_pool", bench, OperatingPoint.AT_CAPACITY, n, component, Resource.MEMORY_BYTE_S)
            reason = "no counter" if now is None else None
            rows.append((*head, *amounts, Evidence.SIMULATED, reason, "host", True))
    return DELTA.frame(rows)


def results(deltas: dict[str, pd.DataFrame], factor: float = 0.8, samples: int = 20) -> Analysis:
    """Tables with one layer that leaves ``factor`` of everything, at capacity."""
    frame = joint({"storage": dict.fromkeys(Component, factor)}, samples=samples).assign(
        operating_point=str(OperatingPoint.AT_CAPACITY)
    )
    stack = Stack(layers=("storage",), tolerance=0.02, confidence=0.95, effort="default")
    measured = joint({"storage": dict.fromkeys(Component, factor)}, bench=Bench.TESTBED, samples=6, starts=3)
    return compute(
        stack=stack,
        workload={},
        baseline=USAGE.empty(),
        deltas=deltas,
        joint={Bench.FLEET: frame} | ({Bench.TESTBED: measured} if any(k.endswith("/testbed") for k in deltas) else {}),
        measured_at={Bench.TESTBED: Circumstances(measured="2026-11-27T10:00:00", loud=())},
    )


def verdict(check: dict[str, Any], found: Analysis | None) -> Any:
    """The finding of one claim with one check."""
    claim = Claim.model_validate({"id": "x", "kind": "layer", "section": "1", "claim": "words", "checks": [check]})
    return judge([claim], [], found, tolerance=0.02)[0]


def test_the_shipped_registry_by_hand() -> None:
    """The figures that can be recomputed get the verdicts that a pencil gives."""
    registry = params.load(ROOT / "params/claims.yaml", Claims)
    cases = read_published(ROOT / "params/published_compositions.yaml")
    found = {f.id: f for f in judge(registry.claims, cases, None, tolerance=0.02)}

    right = {i for i, f in found.items() if f.verdict is Verdict.CONFIRMED}
    assert right == {
        "table-cube",
        "table-multi-core",
        "example-joint",
        "example-weighted",
        "gpt3-552t",
        "modelopt-nemotron3-nano-memory",
    }
    assert {found[i].verdict for i in ("table-minus", "table-single-core", "one-percent-compounds")} == {Verdict.REFUTED}
    assert found["table-single-core"].found == pytest.approx(1.01**9 - 1)
    assert found["modelopt-nemotron3-nano-throughput"].found == pytest.approx(1 - 598 / 1576)
    assert "predicts -77.3 %, observed -62.1 %" in found["modelopt-nemotron3-nano-throughput"].reason
    assert "predicts -62.4 %, observed -61.3 %" in found["modelopt-nemotron3-nano-memory"].reason
    assert found["efficiency-50"].verdict is Verdict.UNTESTABLE
    assert "deltastack run" in found["efficiency-50"].reason
    json.dumps([f._asdict() for f in found.values()], allow_nan=False)


def test_every_reference_claim_is_in_the_registry() -> None:
    """All thirty claims that stand in the paper are there, each with a reason whatever its verdict."""
    registry = params.load(ROOT / "params/claims.yaml", Claims)

    assert len(registry.claims) == 30
    assert all(f.reason and f.command for f in judge(registry.claims, [], None, tolerance=0.02))


def test_computations_by_hand() -> None:
    """280 GB a node over 2 x 96 x 12288 x 2 B x 1000 tokens hold 59.3 users: 13,482 accelerators; L = 12 x 1024 x 0.83 / 0.17."""
    a100 = {c.id: c for c in params.load(ROOT / "params/claims.yaml", Claims).claims}["a100-1200"].checks[0]
    answer = computed("accelerators_for_users", a100.figures)  # type: ignore[union-attr]

    assert answer.found == pytest.approx(8 * 100_000 / (280e9 / (2 * 96 * 12288 * 2 * 1000)))
    assert answer.verdict == "out of domain"
    context = computed("attention_context", {"saving": 0.83, "d_model": 1024, "longest_context_tokens": 35413})
    assert context.found == pytest.approx(12 * 1024 * 0.83 / 0.17)
    assert computed("geometric_mean", {"first": 0.1, "second": 0.15}).found == pytest.approx(1 - math.sqrt(0.765))
    assert computed("tokens_of_flop", GPT4).found == pytest.approx(3333.3, abs=0.1)


def test_a_longer_context_brings_a_claim_into_the_domain() -> None:
    """The verdict turns with the figure: contexts beyond the needed length are no reason to call it out of domain."""
    figures = {"saving": 0.83, "d_model": 1024.0}

    assert computed("attention_context", figures | {"longest_context_tokens": 59_000}).verdict == "out of domain"
    assert computed("attention_context", figures | {"longest_context_tokens": 61_000}).verdict == "untestable here"


ZONES = {"read_bytes_per_s": 2e9, "write_bytes_per_s": 0.0, "other_write_bytes_per_s": 5e8, "write_amplification": 2.5}


def test_weights_that_nobody_writes_gain_nothing_from_zones() -> None:
    """Without writes the two drives are one drive: exactly 0; 42 % where others write, so 40 % is out of domain."""
    answer = computed("zoned_reads", ZONES | {"claimed": 0.4})

    assert answer.found == 0
    assert "42%" in answer.reason
    assert answer.verdict == "out of domain"


@pytest.mark.parametrize(
    ("name", "figures", "word"),
    [
        ("zoned_reads", ZONES | {"claimed": 0.6}, "refuted"),
        ("zoned_reads", ZONES | {"claimed": 0.4, "write_bytes_per_s": 5e8}, "confirmed"),
        ("geometric_mean", {"first": 0.1, "second": 0.15}, "refuted"),
        ("geometric_mean", {"first": 0.0, "second": 0.0}, "confirmed"),
        ("tokens_of_flop", GPT4, "untestable here"),
        ("tokens_of_flop", GPT4 | {"flop": 1e11}, "refuted"),
        ("tokens_of_flop", GPT4 | {"flop": 1e18}, "refuted"),
        ("accelerators_for_users", A100 | {"claimed": 20_000}, "confirmed"),
        ("accelerators_for_users", A100 | {"claimed": 10}, "refuted"),
        ("training_carbon", CARBON, "confirmed"),
        ("training_carbon", CARBON | {"claimed_cars": 110}, "refuted"),
    ],
)
def test_the_verdict_turns_with_the_figures(name: str, figures: dict[str, float], word: str) -> None:
    """No computation has its verdict as a constant: other figures give other words."""
    assert computed(name, figures).verdict == word


@pytest.mark.parametrize(
    ("now", "delta", "word"),
    [
        ([60.0, 58.0, 61.0], 0.35, Verdict.CONFIRMED),
        ([60.0, 58.0, 61.0], 0.45, Verdict.REFUTED),
        ([60.0, 50.0, 75.0], 0.40, Verdict.UNTESTABLE),
        ([99.0, 98.0, 97.0], None, Verdict.CONFIRMED),
        ([100.0, 100.0, 100.0], None, Verdict.REFUTED),
        ([101.0, 102.0, 103.0], None, Verdict.REFUTED),
        ([99.0, 98.0, 103.0], None, Verdict.UNTESTABLE),
    ],
)
def test_a_saving_is_held_with_its_interval(now: list[float], delta: float | None, word: Verdict) -> None:
    """The whole interval above the figure confirms, below refutes, across it cannot be told; without a figure, above 0."""
    here = results({"storage/fleet": table([(100.0, n) for n in now])})

    finding = verdict(SAVING | ({"delta": delta} if delta is not None else {}), here)
    assert finding.verdict is word
    assert finding.found == pytest.approx(1 - now[0] / 100)
    assert "memory_byte_s at_capacity on the fleet bench" in finding.reason


@pytest.mark.parametrize(
    ("twin", "word"), [([100.5, 99.5, 100.0], Verdict.CONFIRMED), ([115.0, 85.0, 100.0], Verdict.UNTESTABLE)]
)
def test_a_saving_inside_the_floor_is_not_confirmed(twin: list[float], word: Verdict) -> None:
    """3 % are measured with a narrow interval: confirmed beside a quiet A/A twin, not beside one that differs by more."""
    saved = table([(100.0, n) for n in (97.0, 96.9, 97.1)], Bench.TESTBED)
    again = table([(100.0, n) for n in twin], Bench.TESTBED).assign(technique="base@aa")
    here = results({"storage/testbed": pd.concat([saved, again], ignore_index=True)})

    finding = verdict(SAVING, here)
    assert finding.verdict is word
    assert finding.found == pytest.approx(0.03)
    assert "on the testbed bench (A/A noise floor ±" in finding.reason
    loud = replace(here, measured_at={Bench.TESTBED: Circumstances(loud=("stolen time 9.0 %",))})
    assert verdict(SAVING, loud).verdict is Verdict.UNTESTABLE
    assert "indicative on the testbed bench: loud machine: stolen time 9.0 %" in verdict(SAVING, loud).reason


def test_a_saving_at_one_operating_point_is_enough() -> None:
    """40 % at capacity and nothing at the trace: a claim that names no load is confirmed; with nothing at both it is not."""
    full = table([(100.0, n) for n in (60.0, 60.5, 59.5)])
    idle = table([(100.0, n) for n in (100.0, 100.0, 100.0)]).assign(operating_point=str(OperatingPoint.AT_TRACE))
    here = results({"storage/fleet": pd.concat([full, idle], ignore_index=True)})

    assert verdict(SAVING | {"delta": 0.35}, here).verdict is Verdict.CONFIRMED
    assert verdict(SAVING | {"delta": 0.35}, results({"storage/fleet": idle})).verdict is Verdict.REFUTED


def test_a_saving_that_is_served_late_confirms_nothing() -> None:
    """40 % are saved, and the claim of 35 % is refuted all the same: the technique serves late, and the reason says so."""
    here = results({"storage/fleet": table([(100.0, 60.0)])})
    late = replace(
        here,
        slo_violations=(
            SloViolation(Bench.FLEET, OperatingPoint.AT_CAPACITY, "storage/memory_pool", 1, 1, "TTFT p99 250 s > 3 s"),
        ),
    )

    assert verdict(SAVING | {"delta": 0.35}, here).verdict is Verdict.CONFIRMED
    finding = verdict(SAVING | {"delta": 0.35}, late)
    assert finding.verdict is Verdict.REFUTED
    assert "but violates the SLO (TTFT p99 250 s > 3 s)" in finding.reason


def test_the_tolerance_gives_way_to_the_claim() -> None:
    """39 % found where 41 % was claimed is near enough at 5 points, not at none."""
    here = results({"storage/fleet": table([(100.0, 61.0)])})

    assert verdict(SAVING | {"delta": 0.41, "tolerance": 0.05}, here).verdict is Verdict.CONFIRMED
    assert verdict(SAVING | {"delta": 0.41}, here).verdict is Verdict.REFUTED


def test_a_sample_without_a_reading_is_left_out_whole() -> None:
    """Null is not zero: the sample goes, the others speak; with none left the claim is untestable."""
    here = results({"storage/fleet": table([(100.0, 60.0), (100.0, None)])})
    assert verdict(SAVING, here).found == pytest.approx(0.4)

    nothing = results({"storage/fleet": table([(100.0, None)])})
    assert verdict(SAVING, nothing).verdict is Verdict.UNTESTABLE
    assert "no Δ table has memory_byte_s of storage/memory_pool" in verdict(SAVING, nothing).reason


@pytest.mark.parametrize(("factor", "word"), [(0.4, Verdict.CONFIRMED), (0.7, Verdict.REFUTED)])
def test_a_target_is_held_against_the_joint_cell(factor: float, word: Verdict) -> None:
    """All layers on save 60 %: a third is reached; 30 %: it is not. The stricter reading stands beside it."""
    check = {"by": "target", "resources": ["energy_j"], "delta": 1 / 3, "stricter": 0.5}

    finding = verdict(check, results({}, factor))
    assert finding.verdict is word
    assert finding.found == pytest.approx(1 - factor)
    assert f"the stricter reading, 50%: {word}" in finding.reason


def test_one_refutation_refutes() -> None:
    """A wrong attribution refutes a claim although our analogue saves."""
    quote = {"by": "quote", "agrees": False, "source": "a manual", "words": "no such instruction"}
    claim = {"id": "x", "kind": "layer", "section": "1", "claim": "words", "checks": [SAVING, quote]}
    here = results({"storage/fleet": table([(100.0, 60.0)])})

    finding = judge([Claim.model_validate(claim)], [], here, tolerance=0.02)[0]
    assert finding.verdict is Verdict.REFUTED
    assert "+40.00 %" in finding.reason
    assert "no such instruction (a manual)" in finding.reason


@pytest.mark.parametrize(("second", "word"), [(0.2, Verdict.CONFIRMED), (0.3, Verdict.REFUTED)])
def test_every_printed_figure_of_a_claim_counts(second: float, word: Verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two figures stand under one claim: one that is wrong refutes it, however right the other is."""
    figures = (PaperFigure("x:a", "a", 0.1, 0.1, "w"), PaperFigure("x:b", "b", second, 0.2, "w"))
    monkeypatch.setattr(checks, "paper_table", lambda: figures)

    assert verdict({"by": "paper"}, None).verdict is word


def quoted(value: float | None = None, **said: object) -> Verdict:
    """The verdict of a claim with one quoted source."""
    check = {"by": "quote", "source": "a paper", "words": "w"} | said
    claim = Claim.model_validate({"id": "x", "kind": "citation", "section": "1", "claim": "c", "value": value, "checks": [check]})
    return judge([claim], [], None, tolerance=0.02)[0].verdict


def test_a_source_decides_by_what_it_says() -> None:
    """By its own figure, rounded, or by whether it agrees; one that was not read, or says nothing, decides nothing."""
    assert quoted(0.6, found=0.4) is Verdict.REFUTED
    assert quoted(0.6, found=0.601) is Verdict.CONFIRMED
    assert quoted(0.6, found=0.4, read=False) is Verdict.UNTESTABLE
    assert quoted(agrees=False) is Verdict.REFUTED
    assert quoted(agrees=True) is Verdict.CONFIRMED
    assert quoted(agrees=False, read=False) is Verdict.UNTESTABLE
    assert quoted() is Verdict.UNTESTABLE
    assert quoted(agrees=True, source="none") is Verdict.UNTESTABLE


def test_every_case_of_the_referee() -> None:
    """What stands in the registry: zones out of domain, unread sources decide nothing, no claim that the paper does not make."""
    registry = params.load(ROOT / "params/claims.yaml", Claims)
    found = {f.id: f for f in judge(registry.claims, [], None, tolerance=0.02)}

    assert found["zns-40"].verdict is Verdict.OUT_OF_DOMAIN
    assert found["geometric-mean"].verdict is Verdict.REFUTED
    assert "one-percent-disjoint" not in found
    assert {found[i].verdict for i in ("softmax-approx", "hopper-tma", "palm2-6144", "async-pipeline")} == {Verdict.UNTESTABLE}
    assert found["distilbert"].verdict is Verdict.REFUTED
    assert found["sparse-gemm"].verdict is Verdict.REFUTED


def test_what_saves_against_another_baseline_alone_is_out_of_domain() -> None:
    """An encoder that never ran saves nothing; 6.3 % against a graph that always runs it."""
    other = {"baseline": "a graph that always runs the encoder", "saving": 0.063, "source": "one H100"}
    here = results({"storage/fleet": table([(100.0, 100.0)])})

    finding = verdict(SAVING | {"otherwise": other}, here)
    assert finding.verdict is Verdict.OUT_OF_DOMAIN
    assert "+6.3 % against a graph that always runs the encoder (one H100)" in finding.reason
    assert verdict(SAVING | {"otherwise": other | {"saving": -0.1}}, here).verdict is Verdict.REFUTED
    assert verdict(SAVING | {"otherwise": other}, results({"storage/fleet": table([(100.0, 60.0)])})).verdict is Verdict.CONFIRMED


def stack_of(on: tuple[str, ...], saved: float) -> Analysis:
    """All layers on leave 40 % of the energy; ``memory_pool`` alone saves ``saved``; these techniques are on."""
    alone = table([(100.0, 100.0 * (1 - saved))]).assign(resource="energy_j")
    here = results({"storage/fleet": alone}, 0.4)
    return replace(here, enabled_techniques={"storage": {Bench.FLEET: on}})


@pytest.mark.parametrize(
    ("on", "saved", "word", "words"),
    [
        (("memory_pool",), 0.05, Verdict.CONFIRMED, "all layers on: +60.0 %"),
        (("memory_pool", "kv_tier"), 0.05, Verdict.REFUTED, "product of memory_pool (simulated), each alone: +5.0 %"),
        (("memory_pool", "kv_tier"), 0.35, Verdict.CONFIRMED, "with kv_tier, which the claim does not name, +60.0 %"),
        (("kv_tier",), 0.35, Verdict.UNTESTABLE, "no joint run has energy_j of what the claim names"),
    ],
)
def test_a_claim_is_held_against_its_own_techniques(on: tuple[str, ...], saved: float, word: Verdict, words: str) -> None:
    """What others add confirms nothing: 60 % of all layers, of which the claim's own technique saves 5 or 35 %."""
    finding = verdict({"by": "target", "resources": ["energy_j"], "delta": 0.2, "own": ["memory_pool"]}, stack_of(on, saved))

    assert finding.verdict is word
    assert words in finding.reason


def test_a_target_on_every_bench() -> None:
    """The fleet saves 60 %, an engine 10 %: refuted; an engine on a loud machine leaves it open."""
    check = {"by": "target", "resources": ["energy_j", "cpu_s"], "delta": 1 / 3}

    def both(factor: float, loud: tuple[str, ...]) -> Verdict:
        measured = joint({"storage": dict.fromkeys(Component, factor)}, bench=Bench.ENGINE, resource=Resource.CPU_S, sd_log=1e-6)
        fleet = joint({"storage": dict.fromkeys(Component, 0.4)}, samples=5).assign(operating_point="at_capacity")
        here = compute(
            stack=Stack(layers=("storage",), tolerance=0.02, confidence=0.95, effort="default"),
            workload={},
            baseline=USAGE.empty(),
            deltas={},
            joint={Bench.FLEET: fleet, Bench.ENGINE: measured},
            measured_at={Bench.ENGINE: Circumstances(measured="x", loud=loud)},
        )
        found = verdict(check, here)
        return found.verdict  # type: ignore[no-any-return]

    assert both(0.4, ()) is Verdict.CONFIRMED
    assert both(0.9, ()) is Verdict.REFUTED
    assert both(0.4, ("stolen time 9.0 %",)) is Verdict.UNTESTABLE


def test_bad_registries_are_refused_in_one_line() -> None:
    """An unknown computation, figures that do not fit, an id twice: named with what there is."""
    base = {"id": "x", "kind": "demand", "section": "1", "claim": "words"}
    unknown = {"claims": [base | {"checks": [{"by": "computation", "name": "magic", "figures": {}}]}]}
    with pytest.raises(ParamsError, match=r"no computation 'magic'; there are: accelerators_for_users"):
        params.parse(unknown, Claims, "claims.yaml")
    twice = {"claims": [base | {"checks": [{"by": "paper"}]}] * 2}
    with pytest.raises(ParamsError, match="id given twice: x"):
        params.parse(twice, Claims, "claims.yaml")
    with pytest.raises(ParamsError, match=r"'tokens_of_flop' takes flop, longest_context_tokens, parameters; found flop$"):
        computed("tokens_of_flop", {"flop": 1.0})


def test_every_computation_says_what_it_is() -> None:
    """A computation without its formula in the docstring is a number from nowhere."""
    assert all((f.__doc__ or "").strip() for f in COMPUTATIONS.values())
