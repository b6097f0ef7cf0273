"""Running a plan: resuming, failing, stopping early, and what the ledger refuses."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from deltastack.errors import EvidenceError, StageError
from deltastack.experiment.ledger import Entry, Ledger
from deltastack.experiment.meter import Quantity, Reading
from deltastack.experiment.plan import Kind, Plan, Slot
from deltastack.experiment.run_plan import Experiment, Stopped, StopRule, compare, execute, pair_log_ratios
from tests.fakes import fake_runner

if TYPE_CHECKING:
    from pathlib import Path


def entry(cell: str, block: int, cpu_s: float | None, start: int = 0, kind: Kind = Kind.RUN) -> Entry:
    """One run that spent ``cpu_s``."""
    reading = Reading(cpu_s, "hand", None if cpu_s is not None else "lost")
    slot = Slot(start=start, block=block, position=0, cell=cell, kind=kind)
    return Entry(slot=slot, readings={Quantity.CPU_S: reading}, components={}, quality={})


def experiment(path: Path, *, budget_s: float = 60.0, half_width: float = 0.0, fail_at: str | None = None) -> Experiment:
    """Three cells, two starts, two block pairs; ``fast`` spends 20 % less than base."""
    return Experiment(
        plan=Plan(cells=("base", "base@aa", "fast"), starts=2, block_pairs=2, seed=1),
        ledger_path=path / "ledger.jsonl",
        key="k1",
        factory=partial(fake_runner, factors={"fast": 0.8}, sd_log=0.01, fail_at=fail_at),
        stop=StopRule(half_width=half_width, budget_s=budget_s),
    )


def silent(_: str) -> None:
    """Say nothing."""


def test_pair_ratio_by_hand() -> None:
    """Base 2 and 8, cell 1 and 4: both halves halve it, so the pair's log ratio is -ln 2."""
    import math

    runs = (entry("base", 0, 2.0), entry("x", 0, 1.0), entry("x", 1, 4.0), entry("base", 1, 8.0))

    assert pair_log_ratios(runs, "x", "base", Quantity.CPU_S) == [[pytest.approx(-math.log(2))]]


def test_repeats_are_averaged_in_log() -> None:
    """Base 2 and 8 in one block are 4 there; against x = 1 and 4, the pair's log ratio is (ln 1/4 + ln 4/4) / 2 = -ln 2."""
    import math

    runs = (entry("base", 0, 2.0), entry("base", 0, 8.0), entry("x", 0, 1.0), entry("x", 1, 4.0), entry("base", 1, 4.0))

    assert pair_log_ratios(runs, "x", "base", Quantity.CPU_S) == [[pytest.approx(-math.log(2))]]
    assert pair_log_ratios((*runs, entry("x", 1, None)), "x", "base", Quantity.CPU_S) == []


def test_a_pair_with_a_missing_reading_is_left_out() -> None:
    """A null amount takes its whole pair out; it is not read as zero; controls and warm-ups never count."""
    runs = (entry("base", 0, 2.0), entry("x", 0, None), entry("x", 1, 4.0), entry("base", 1, 8.0))
    control = (entry("base", 2, 2.0, kind=Kind.CONTROL), entry("x", 2, 2.0, kind=Kind.WARM_UP))

    assert pair_log_ratios(runs + control, "x", "base", Quantity.CPU_S) == []
    with pytest.raises(EvidenceError, match="at least two pairs"):
        compare(runs, "x", "base", Quantity.CPU_S)


def test_a_planted_saving_is_recovered(tmp_path: Path) -> None:
    """A planted 20 % saving lies in its interval, which excludes 0; the A/A pair's interval holds 0."""
    plan = experiment(tmp_path)

    stopped = execute(plan, silent)

    runs = plan.ledger().entries()
    saving, null = (compare(runs, c, "base", Quantity.CPU_S) for c in ("fast", "base@aa"))
    assert stopped is Stopped.COMPLETE
    assert 0 < saving.low <= 0.2 <= saving.high
    assert null.low <= 0 <= null.high
    assert len(runs) == 2 * (2 * 2 * 3 + 1)


def test_a_failed_start_keeps_what_was_finished_and_resumes(tmp_path: Path) -> None:
    """A run that raises ends its start with an error; the next call repeats nothing that was finished."""
    with pytest.raises(StageError, match="what it had finished is in"):
        execute(experiment(tmp_path, fail_at="run/0/2"), silent)
    kept = [e.slot.key for e in experiment(tmp_path).ledger().entries()]

    execute(experiment(tmp_path), silent)

    after = [e.slot.key for e in experiment(tmp_path).ledger().entries()]
    assert len(kept) == 6
    assert after[: len(kept)] == kept
    assert len(after) == len(set(after)) == 26


def test_it_stops_when_the_interval_is_narrow(tmp_path: Path) -> None:
    """With a wide goal it stops after the least number of pairs, and says so; asked again it runs nothing."""
    easy = Experiment(
        plan=experiment(tmp_path).plan,
        ledger_path=tmp_path / "ledger.jsonl",
        key="k1",
        factory=experiment(tmp_path).factory,
        stop=StopRule(half_width=0.5, budget_s=60.0, minimum_pairs=2),
    )

    assert execute(easy, silent) is Stopped.PRECISE
    done = len(easy.ledger().entries())
    assert done < 26
    assert execute(easy, silent) is Stopped.PRECISE
    assert len(easy.ledger().entries()) == done


def test_it_stops_when_the_budget_is_spent(tmp_path: Path) -> None:
    """With no time left nothing is run, and the reason is the budget."""
    assert execute(experiment(tmp_path, budget_s=0.0), silent) is Stopped.BUDGET


def test_another_key_is_refused(tmp_path: Path) -> None:
    """Runs of another plan, host or set of parameters are never pooled."""
    Ledger(tmp_path / "l.jsonl", "one")

    with pytest.raises(EvidenceError, match="never pooled"):
        Ledger(tmp_path / "l.jsonl", "two")


def test_a_cut_line_is_dropped_and_the_rest_kept(tmp_path: Path) -> None:
    """A kill in the middle of a write loses that run only, and the file is whole again."""
    path = tmp_path / "l.jsonl"
    ledger = Ledger(path, "k")
    ledger.add(entry("base", 0, 1.0))
    ledger.add(entry("base", 1, 2.0))
    path.write_bytes(path.read_bytes()[:-7])

    again = Ledger(path, "k")
    again.add(entry("base", 1, 3.0))

    values = [e.readings[Quantity.CPU_S].value for e in Ledger(path, "k").entries()]
    assert values == [1.0, 3.0]


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    """The same slot twice is refused."""
    ledger = Ledger(tmp_path / "l.jsonl", "k")
    ledger.add(entry("base", 0, 1.0))

    with pytest.raises(EvidenceError, match="already"):
        ledger.add(entry("base", 0, 2.0))


def test_the_smallest_budget_still_gives_a_pair(tmp_path: Path) -> None:
    """A budget that is spent before the first start runs one pair of blocks of one start, and says that time was short."""
    asked = experiment(tmp_path, budget_s=0.0)

    stopped = execute(asked, silent)
    runs = [e.slot for e in asked.ledger().entries() if e.slot.kind is Kind.RUN]

    assert stopped is Stopped.BUDGET
    assert {(s.start, s.block) for s in runs} == {(0, 0), (0, 1)}


def firm(path: Path, *, budget_s: float, limit_s: float | None = None, starts: int = 2) -> Experiment:
    """Blocks of base, base@aa and a tail of one, in a plan that may stop inside a block."""
    return Experiment(
        plan=Plan(cells=("base", "base@aa", "fast"), starts=starts, block_pairs=1, seed=1, paired=False, tail=("fast",)),
        ledger_path=path / "ledger.jsonl",
        key="k1",
        factory=partial(fake_runner, factors={"fast": 0.8}, sd_log=0.01),
        stop=StopRule(half_width=0.0, budget_s=budget_s, firm=True, limit_s=limit_s),
    )


def test_a_firm_plan_without_time_runs_the_head_of_one_block(tmp_path: Path) -> None:
    """The factorial is whole, the tail is cut off, no second start begins; with time all of it runs."""
    assert execute(firm(tmp_path, budget_s=1e-6), silent) is Stopped.BUDGET
    runs = [e.slot.cell for e in firm(tmp_path, budget_s=1).ledger().entries()]
    assert sorted(runs) == ["base", "base@aa"]
    assert execute(firm(tmp_path, budget_s=600), silent) is Stopped.COMPLETE
    assert len(firm(tmp_path, budget_s=1).ledger().entries()) == 2 * (4 + 1)


def test_a_start_that_outlasts_the_limit_is_ended(tmp_path: Path) -> None:
    """A hanging device must not keep the bundle from being written: what ran before stays."""
    assert execute(firm(tmp_path, budget_s=600, limit_s=0.0), silent) is Stopped.BUDGET
    assert firm(tmp_path, budget_s=1).ledger().entries() == ()
