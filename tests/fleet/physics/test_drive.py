"""The drive: Cobham against simulation, published checks, negative controls, limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltastack.errors import OutOfValidityError
from deltastack.fleet.physics import drive
from deltastack.fleet.physics.drive import Drive, Load, Scheduler

READS = 200_000
NO_WRITES = Load(read_bytes_per_s=2e9, write_bytes_per_s=0.0, write_amplification=2.5)
BUSY = Load(read_bytes_per_s=2e9, write_bytes_per_s=500e6, write_amplification=2.5)


def slow_waits(
    read_at: list[float], background: list[tuple[float, float, float]], read_s: float, scheduler: Scheduler
) -> list[float]:
    """The queue of one die in plain words: (arrival, service, suspend latency) of the background, in order of arrival."""
    waiting, jobs, now, waits = list(read_at), list(background), 0.0, []

    def serve_reads_here() -> None:
        nonlocal now
        while waiting and waiting[0] <= now:
            waits.append(now - waiting.pop(0))
            now += read_s

    while waiting:
        first_job = jobs[0][0] if jobs else float("inf")
        read_next = waiting[0] <= first_job or (scheduler is not Scheduler.FIRST_COME and waiting[0] <= now)
        if read_next:
            now = max(now, waiting[0])
            waits.append(now - waiting.pop(0))
            now += read_s
            continue
        arrival, left, suspend_s = jobs.pop(0)
        now = max(now, arrival)
        if scheduler is Scheduler.SUSPEND:
            while waiting and waiting[0] + suspend_s < now + left:
                halt = max(now, waiting[0] + suspend_s)
                left, now = left - (halt - now), halt
                serve_reads_here()
        now += left
    return waits


def test_by_hand() -> None:
    """A program of 10 from 0; reads (1 each) at 2 and 3: they wait 8 and 8 first come, first served.

    With suspension after 1 the program halts at 3: the reads wait 1 and 1 (3 to 4, 4 to 5).
    """
    args = (np.array([2.0, 3.0]), np.array([0.0]), np.array([2]))
    service, suspend = np.array([1.0, 1.0, 10.0, 50.0]), np.array([np.inf, np.inf, 1.0, 2.0])

    assert drive._waits(args, service, suspend, int(Scheduler.READ_PRIORITY)).tolist() == [8.0, 8.0]
    assert drive._waits(args, service, suspend, int(Scheduler.SUSPEND)).tolist() == [1.0, 1.0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0, 100), min_size=1, max_size=12).map(sorted),
    st.lists(st.tuples(st.floats(0, 100), st.integers(1, 3)), max_size=8).map(sorted),
    st.sampled_from(Scheduler),
)
def test_the_compiled_queue_is_the_plain_one(reads: list[float], jobs: list[tuple[float, int]], scheduler: Scheduler) -> None:
    """Every wait agrees with the event loop in plain words, whatever arrives when."""
    service, suspend = np.array([1.0, 1.5, 7.0, 30.0]), np.array([np.inf, np.inf, 0.5, 2.0])
    args = (np.array(reads), np.array([a for a, _ in jobs]), np.array([k for _, k in jobs], dtype=np.int64))

    fast = drive._waits(args, service, suspend, int(scheduler))

    slow = slow_waits(reads, [(a, service[k], suspend[k]) for a, k in jobs], 1.0, scheduler)
    assert fast == pytest.approx(slow)


@pytest.mark.parametrize("scheduler", [Scheduler.FIRST_COME, Scheduler.READ_PRIORITY])
@pytest.mark.parametrize("write_bytes_per_s", [0.0, 100e6, 250e6])
def test_simulation_and_cobham_agree_within_one_percent(scheduler: Scheduler, write_bytes_per_s: float) -> None:
    """Cobham (1954) is the mean of the same queue."""
    load = Load(read_bytes_per_s=2e9, write_bytes_per_s=write_bytes_per_s, write_amplification=2.5)

    mean = drive.simulate_reads(Drive(), load, scheduler, reads=1_000_000, seed=4).mean_s

    assert mean == pytest.approx(drive.mean_read_s(Drive(), load, scheduler), rel=0.01)


@pytest.mark.parametrize("scheduler", list(Scheduler))
def test_without_writes_a_zoned_drive_is_the_same_drive(scheduler: Scheduler) -> None:
    """Weights are read only: no cleaning, Δ exactly 0 (notes: negative control)."""
    conventional = drive.read_sample_s(Drive(), NO_WRITES, scheduler, reads=10_000, seed=1)
    zoned = drive.read_sample_s(Drive(), NO_WRITES.zoned(), scheduler, reads=10_000, seed=1)

    assert (conventional == zoned).all()


def test_suspension_against_the_published_savings() -> None:
    """Wu & He, FAST 2012: suspension cuts the mean read by 50.5 % against read priority and 75.4 % against FIFO; +-5 points."""
    mean = [drive.simulate_reads(Drive(), BUSY, s, reads=READS, seed=2).mean_s for s in Scheduler]

    assert 1 - mean[2] / mean[1] == pytest.approx(0.505, abs=0.05)
    assert 1 - mean[2] / mean[0] == pytest.approx(0.754, abs=0.05)


@pytest.mark.parametrize(("overprovisioning", "scheduler"), [(0.07, Scheduler.SUSPEND), (0.28, Scheduler.FIRST_COME)])
def test_tail_of_a_zoned_drive_against_the_published_one(overprovisioning: float, scheduler: Scheduler) -> None:
    """Bjorling et al., ATC 2021: p99.9 of random reads is 2-4 times lower (50-75 % saved) than on 7 % and 28 % drives."""
    amplification = drive.write_amplification(overprovisioning)
    load = Load(read_bytes_per_s=2e9, write_bytes_per_s=250e6, write_amplification=amplification)

    conventional = drive.simulate_reads(Drive(), load, scheduler, reads=1_000_000, seed=3).p999_s
    zoned = drive.simulate_reads(Drive(), load.zoned(), scheduler, reads=1_000_000, seed=3).p999_s

    assert 0.45 <= 1 - zoned / conventional <= 0.75


@pytest.mark.parametrize(("spare", "amplification"), [(0.07, 7.8), (0.14, 4.25), (0.28, 2.48), (0.50, 1.72)])
def test_write_amplification_by_spare_capacity(spare: float, amplification: float) -> None:
    """Desnoyers, SYSTOR 2012: 7 % spare writes 7.8 times, 50 % 1.7 times."""
    assert drive.write_amplification(spare) == pytest.approx(amplification, rel=0.01)


def test_more_writes_and_more_amplification_wait_longer() -> None:
    """The mean read grows with write rate and write amplification; priority beats first come."""
    means = [
        drive.mean_read_s(
            Drive(), Load(read_bytes_per_s=2e9, write_bytes_per_s=w, write_amplification=a), Scheduler.READ_PRIORITY
        )
        for w, a in ((0.0, 1.0), (1e8, 1.0), (1e8, 2.5), (3e8, 2.5))
    ]

    assert means == sorted(means)
    assert drive.mean_read_s(Drive(), BUSY, Scheduler.READ_PRIORITY) < drive.mean_read_s(Drive(), BUSY, Scheduler.FIRST_COME)


def test_striping_waits_for_the_slowest() -> None:
    """Of samples 1, 2, 3, 4 the expected maximum of two is (1 + 3*2 + 5*3 + 7*4) / 16 = 3.125; of one the mean."""
    sample = np.array([4.0, 1.0, 3.0, 2.0])

    assert drive.striped_mean_s(sample, 2) == pytest.approx(3.125)
    assert drive.striped_mean_s(sample, 1) == pytest.approx(sample.mean())


def test_refusals_say_what_would_hold() -> None:
    """Saturated dies, amplification below 1, suspension in Cobham, no reads."""
    flood = Load(read_bytes_per_s=2e9, write_bytes_per_s=3e9, write_amplification=2.5)

    with pytest.raises(OutOfValidityError, match="saturated"):
        drive.simulate_reads(Drive(), flood, Scheduler.SUSPEND, reads=10, seed=0)
    with pytest.raises(OutOfValidityError, match="at least 1"):
        drive.utilisation(Drive(), Load(read_bytes_per_s=1.0, write_bytes_per_s=1.0, write_amplification=0.5))
    with pytest.raises(OutOfValidityError, match="no suspension"):
        drive.mean_read_s(Drive(), BUSY, Scheduler.SUSPEND)
    with pytest.raises(OutOfValidityError, match="read rate above 0"):
        drive.simulate_reads(
            Drive(),
            Load(read_bytes_per_s=0.0, write_bytes_per_s=1e6, write_amplification=1.0),
            Scheduler.SUSPEND,
            reads=1,
            seed=0,
        )
    with pytest.raises(OutOfValidityError, match="above 0"):
        drive.write_amplification(0.0)
