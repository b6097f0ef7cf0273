"""Reads of model weights and KV from a flash drive while KV is written to it: one queue a die.

A die serves one operation at a time. Reads of the host are what a request waits for; programs of host data, and the
reads, programs and erases of garbage collection, are background. With rates per die

    l_r = read rate / (page x dies)            l_p = write rate x WA / (unit x dies)
    l_g = write rate x (WA - 1) / (page x dies) l_e = l_p x unit / erase block

the mean wait of a read is (Cobham 1954, non-preemptive priority; without priority the whole load is in the denominator)

    W = 1/2 (l_r t_r^2 + l_g t_r^2 + l_p t_p^2 + l_e t_e^2) / (1 - l_r t_r)      read priority
    W = the same numerator / (1 - rho)                                         first come, first served

A zoned drive leaves cleaning to the host, which deletes whole zones: WA = 1, so l_g = 0. Without writes the two are the
same drive and Δ is exactly 0.

Source: Cobham, Operations Research 2 (1954) 70-76; write amplification of uniform random writes: Desnoyers, SYSTOR 2012.
Assumes: Poisson arrivals on every die, steady state, greedy cleaning spread evenly; real cleaning comes in bursts, so
tails of the conventional drive are understated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from scipy.special import lambertw

from deltastack.errors import OutOfValidityError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_READ, _CLEAN_READ, _PROGRAM, _ERASE = 0, 1, 2, 3


class Scheduler(IntEnum):
    """What a die does when a read waits."""

    FIRST_COME = 0
    READ_PRIORITY = 1
    SUSPEND = 2
    """Read priority, and a program or erase under way is suspended."""


_FIRST_COME, _SUSPEND = int(Scheduler.FIRST_COME), int(Scheduler.SUSPEND)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """A flash drive: times of a die, sizes, number of dies."""

    read_s: float = 60e-6
    program_s: float = 700e-6
    erase_s: float = 3.5e-3
    transfer_s: float = 13.7e-6
    suspend_program_s: float = 100e-6
    suspend_erase_s: float = 700e-6
    page_bytes: float = 16 * 1024
    unit_bytes: float = 32 * 1024
    """What one program writes (two planes)."""
    erase_block_bytes: float = 16 * 1024**2
    dies: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What the host asks of the drive, and what the drive makes of the writes."""

    read_bytes_per_s: float
    write_bytes_per_s: float
    write_amplification: float

    def zoned(self, write_amplification: float = 1.0) -> Load:
        """The same host load on a zoned drive."""
        return Load(
            read_bytes_per_s=self.read_bytes_per_s,
            write_bytes_per_s=self.write_bytes_per_s,
            write_amplification=write_amplification,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLatency:
    """Latency of single page reads [s]: mean, and quantiles of the simulated sample."""

    mean_s: float
    p50_s: float
    p99_s: float
    p999_s: float


def rates_per_die(drive: Drive, load: Load) -> tuple[float, float, float, float]:
    """Arrivals [1/s] at one die: host reads, cleaning reads, programs, erases.

    Raises:
        OutOfValidityError: A write amplification below 1, or a negative rate.
    """
    if load.write_amplification < 1 or min(load.read_bytes_per_s, load.write_bytes_per_s) < 0:
        raise OutOfValidityError(
            f"rates must not be negative and write amplification is at least 1; found read {load.read_bytes_per_s} B/s, "
            f"write {load.write_bytes_per_s} B/s, amplification {load.write_amplification}"
        )
    page_die, unit_die = drive.page_bytes * drive.dies, drive.unit_bytes * drive.dies
    programs = load.write_bytes_per_s * load.write_amplification / unit_die
    return (
        load.read_bytes_per_s / page_die,
        load.write_bytes_per_s * (load.write_amplification - 1) / page_die,
        programs,
        programs * drive.unit_bytes / drive.erase_block_bytes,
    )


def utilisation(drive: Drive, load: Load) -> float:
    """Share of its time that a die is busy."""
    reads, cleaning, programs, erases = rates_per_die(drive, load)
    return (reads + cleaning) * drive.read_s + programs * drive.program_s + erases * drive.erase_s


def mean_read_s(drive: Drive, load: Load, scheduler: Scheduler) -> float:
    """Mean latency of a page read [s] by Cobham's formula: wait, read, transfer.

    Raises:
        OutOfValidityError: The dies are saturated, so there is no steady state; or the scheduler suspends, which
            Cobham does not describe (use ``simulate_reads``).
    """
    _steady(drive, load)
    if scheduler is Scheduler.SUSPEND:
        raise OutOfValidityError("Cobham's formula has no suspension: simulate the drive instead")
    reads, cleaning, programs, erases = rates_per_die(drive, load)
    residual = 0.5 * ((reads + cleaning) * drive.read_s**2 + programs * drive.program_s**2 + erases * drive.erase_s**2)
    busy = utilisation(drive, load) if scheduler is Scheduler.FIRST_COME else reads * drive.read_s
    return residual / (1 - busy) + drive.read_s + drive.transfer_s


def simulate_reads(drive: Drive, load: Load, scheduler: Scheduler, *, reads: int, seed: int) -> ReadLatency:
    """Latency of ``reads`` page reads on one die, by event simulation.

    Raises:
        OutOfValidityError: The dies are saturated, or nothing is read.
    """
    return _summary(read_sample_s(drive, load, scheduler, reads=reads, seed=seed))


def read_sample_s(drive: Drive, load: Load, scheduler: Scheduler, *, reads: int, seed: int) -> NDArray[np.float64]:
    """Latencies (reads,) [s] of single page reads on one die: wait, read, transfer.

    Raises:
        OutOfValidityError: The dies are saturated, or nothing is read.
    """
    _steady(drive, load)
    if load.read_bytes_per_s <= 0:
        raise OutOfValidityError("a latency of reads needs a read rate above 0")
    rates = rates_per_die(drive, load)
    rng = np.random.default_rng(seed)
    read_at = np.cumsum(rng.exponential(1 / rates[_READ], reads))
    back_at, back_kind = _background(rng, rates, float(read_at[-1]))
    service = np.array([drive.read_s, drive.read_s, drive.program_s, drive.erase_s])
    suspend = np.array([math.inf, math.inf, drive.suspend_program_s, drive.suspend_erase_s])
    wait = _waits((read_at, back_at, back_kind), service, suspend, int(scheduler))
    sample: NDArray[np.float64] = wait + drive.read_s + drive.transfer_s
    return sample


def striped_mean_s(sample_s: NDArray[np.float64], dies: int) -> float:
    """Mean latency [s] of one tensor striped over ``dies``: the slowest of so many independent page reads.

    Exact for the empirical distribution: E[max of k] = sum x_(i) ((i/n)^k - ((i-1)/n)^k).
    """
    ordered = np.sort(sample_s)
    share = (np.arange(ordered.size + 1) / ordered.size) ** dies
    return float((ordered * np.diff(share)).sum())


def write_amplification(overprovisioning: float) -> float:
    """Write amplification of uniform random writes with LRU (first in, first out) cleaning.

    ``overprovisioning`` is spare capacity over user capacity. 0.07 gives 7.8; 0.28 gives 2.5.

    Source: Desnoyers, SYSTOR 2012: WA = 1 / (1 - x), x = -u W(-exp(-1/u) / u), u = 1 / (1 + OP).

    Raises:
        OutOfValidityError: No spare capacity.
    """
    if overprovisioning <= 0:
        raise OutOfValidityError(f"over-provisioning must be above 0, found {overprovisioning}: cleaning never ends without it")
    used = 1 / (1 + overprovisioning)
    valid = -used * float(lambertw(-math.exp(-1 / used) / used).real)
    return 1 / (1 - valid)


def _steady(drive: Drive, load: Load) -> None:
    busy = utilisation(drive, load)
    if busy >= 1:
        raise OutOfValidityError(
            f"the dies are saturated (utilisation {busy:.2f}): there is no steady state; fewer writes, a lower write "
            "amplification or more dies"
        )


def _background(
    rng: np.random.Generator, rates: tuple[float, float, float, float], span_s: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Arrival instants and kinds of everything that is not a host read, in order of time."""
    instants, kinds = [np.empty(0)], [np.empty(0, dtype=np.int64)]
    for kind in (_CLEAN_READ, _PROGRAM, _ERASE):
        count = rng.poisson(rates[kind] * span_s)
        instants.append(rng.uniform(0, span_s, count))
        kinds.append(np.full(count, kind, dtype=np.int64))
    every, kind_of = np.concatenate(instants), np.concatenate(kinds)
    order = np.argsort(every)
    return every[order], kind_of[order]


def _summary(sample_s: NDArray[np.float64]) -> ReadLatency:
    p50, p99, p999 = np.quantile(sample_s, [0.5, 0.99, 0.999])
    return ReadLatency(mean_s=float(sample_s.mean()), p50_s=float(p50), p99_s=float(p99), p999_s=float(p999))


@njit(cache=True)
def _waits(
    arrivals: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]],
    service_s: NDArray[np.float64],
    suspend_s: NDArray[np.float64],
    scheduler: int,
) -> NDArray[np.float64]:  # pragma: no cover - compiled
    """Time each read waits before its own service starts; ``arrivals`` are reads, background, background kinds."""
    read_at, back_at, back_kind = arrivals
    waits = np.empty(read_at.size)
    now, r, b = 0.0, 0, 0
    while r < read_at.size:
        next_back = back_at[b] if b < back_at.size else np.inf
        reads_until = next_back if scheduler == _FIRST_COME else max(now, next_back)
        if read_at[r] <= reads_until:
            start = max(now, read_at[r])
            waits[r] = start - read_at[r]
            now = start + service_s[0]
            r += 1
            continue
        left = service_s[back_kind[b]]
        latency = suspend_s[back_kind[b]] if scheduler == _SUSPEND else np.inf
        b += 1
        now = max(now, next_back)
        while r < read_at.size and read_at[r] + latency < now + left:
            halt = max(now, read_at[r] + latency)
            left -= halt - now
            now = halt
            while r < read_at.size and read_at[r] <= now:
                waits[r] = now - read_at[r]
                now += service_s[0]
                r += 1
        now += left
    return waits
