"""The meter: differences of counters, nesting, failure, missing counters, memory, replay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import EvidenceError
from deltastack.experiment.meter import Meter, Quantity, ReplayMeter, default_counters
from deltastack.experiment.meter.counters import FunctionCounter
from deltastack.experiment.meter.memory import integral_and_peak, pss_byte

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def scripted(quantity: Quantity, values: list[float], reason: str | None = None) -> FunctionCounter:
    """A counter that reads the next of ``values`` each time."""
    queue: Iterator[float] = iter(values)
    return FunctionCounter(quantity=quantity, source="script", reason=reason, function=lambda: next(queue))


def test_by_hand() -> None:
    """A counter at 10 and then 13.5 spent 3.5 in the window."""
    meter = Meter((scripted(Quantity.CPU_S, [10.0, 13.5]),))

    with meter.window("work") as window:
        pass

    assert window.value(Quantity.CPU_S) == pytest.approx(3.5)
    assert window.readings[Quantity.CPU_S].source == "script"


def test_windows_nest() -> None:
    """Reads 0, 2, 5, 9 in order: the inner window spent 3, the outer 9."""
    meter = Meter((scripted(Quantity.WALL_S, [0.0, 2.0, 5.0, 9.0]),))

    with meter.window("outer") as outer, meter.window("inner") as inner:
        pass

    assert inner.value(Quantity.WALL_S) == pytest.approx(3.0)
    assert outer.value(Quantity.WALL_S) == pytest.approx(9.0)


def test_a_failed_window_yields_nothing() -> None:
    """Work that raises leaves no readings, not zeros."""
    meter = Meter((scripted(Quantity.CPU_S, [1.0, 2.0]),))

    def fail() -> None:
        raise RuntimeError("the work failed")

    with pytest.raises(RuntimeError, match="the work failed"), meter.window("work") as window:
        fail()

    with pytest.raises(EvidenceError, match="'work' has no readings"):
        _ = window.readings


def test_a_missing_counter_gives_a_reason_and_never_zero() -> None:
    """No counter: the value is None, the reason is kept, and asking for the number names it."""
    meter = Meter((scripted(Quantity.ENERGY_J, [], reason="RAPL: no counter on this machine"),))

    with meter.window("work") as window:
        pass

    assert window.readings[Quantity.ENERGY_J].value is None
    with pytest.raises(EvidenceError, match="RAPL: no counter"):
        window.value(Quantity.ENERGY_J)


def test_a_counter_that_runs_backwards_is_no_reading() -> None:
    """An overflow that nobody unwrapped is a reason, not a negative amount."""
    meter = Meter((scripted(Quantity.ENERGY_J, [5.0, 1.0]),))

    with meter.window("work") as window:
        pass

    assert window.readings[Quantity.ENERGY_J].value is None
    assert "ran backwards" in str(window.readings[Quantity.ENERGY_J].reason)


@pytest.mark.parametrize(("wall_s", "joules"), [(1.9, None), (2.1, 7.0)])
def test_joules_of_a_short_window_are_refused(wall_s: float, joules: float | None) -> None:
    """Below the counter's refresh period (2 s asked) energy is null; above it is read."""
    meter = Meter((scripted(Quantity.WALL_S, [0.0, wall_s]), scripted(Quantity.ENERGY_J, [1.0, 8.0])))

    with meter.window("work") as window:
        pass

    assert window.readings[Quantity.ENERGY_J].value == joules


def test_the_clock_waits_for_the_device() -> None:
    """The device is synchronised before each of the two reads."""
    calls: list[str] = []
    meter = Meter((scripted(Quantity.WALL_S, [0.0, 1.0]),), synchronise=lambda: calls.append("sync"))

    with meter.window("work"):
        calls.append("work")

    assert calls == ["sync", "work", "sync"]


def test_this_machine_counts_a_known_amount_of_work() -> None:
    """A busy loop spends processor time, and about as much of it as of wall time."""
    meter = Meter()

    with meter.window("busy") as window:
        sum(i * i for i in range(2_000_000))

    assert 0 < window.value(Quantity.CPU_S) <= window.value(Quantity.WALL_S) * 1.5 + 0.05
    assert {c.quantity for c in default_counters()} >= {Quantity.WALL_S, Quantity.CPU_S, Quantity.ENERGY_J, Quantity.INSTRUCTIONS}


def test_bytes_written_are_seen_at_the_block_layer(tmp_path: Path) -> None:
    """Four MiB written and synced are at least four MiB in the counter."""
    import os

    meter = Meter()

    with meter.window("write") as window, (tmp_path / "block").open("wb") as f:
        f.write(b"x" * (4 << 20))
        f.flush()
        os.fsync(f.fileno())

    written = window.readings[Quantity.IO_WRITE_BYTE]
    assert written.value is None or written.value >= 4 << 20


def test_memory_is_read_only_where_it_is_asked() -> None:
    """A timed window has no memory reading but a reason; a memory window sees a 64 MiB array."""
    with Meter().window("timed") as timed:
        pass
    with Meter(memory_period_s=0.01).window("memory") as held:
        block = bytearray(64 << 20)
        block[::4096] = b"\1" * len(block[::4096])

    assert timed.readings[Quantity.MEMORY_PEAK_BYTE].value is None
    assert held.value(Quantity.MEMORY_PEAK_BYTE) >= 64 << 20
    assert pss_byte() > 0


def test_memory_integral_by_hand() -> None:
    """100 B for 2 s, then a ramp from 100 to 300 B over 1 s: 200 + 200 = 400 byte seconds, peak 300."""
    assert integral_and_peak([0.0, 2.0, 3.0], [100.0, 100.0, 300.0]) == (400.0, 300.0)


@given(st.lists(st.floats(0, 1e9), min_size=2, max_size=20), st.floats(1e-3, 10))
def test_memory_integral_is_bounded_by_its_peak(gauges: list[float], step_s: float) -> None:
    """The integral lies between the least and the largest gauge times the span."""
    instants = [i * step_s for i in range(len(gauges))]
    total, peak = integral_and_peak(instants, gauges)

    assert min(gauges) * instants[-1] * (1 - 1e-9) <= total <= peak * instants[-1] * (1 + 1e-9) + 1e-9


@pytest.mark.parametrize("samples", [([0.0], [1.0]), ([1.0, 0.0], [1.0, 1.0])])
def test_memory_integral_refuses(samples: tuple[list[float], list[float]]) -> None:
    """One sample spans nothing; time does not run backwards."""
    with pytest.raises(ValueError, match=r"integral|backwards"):
        integral_and_peak(*samples)


def test_the_overhead_of_the_meter_is_measured() -> None:
    """An empty window costs something, and the meter knows how much."""
    assert Meter().overhead_s(repeats=5) > 0


def test_replay_gives_the_recorded_windows_in_order(tmp_path: Path) -> None:
    """Two recorded windows of a name come back first in, first out; a third is refused."""
    lines = [{"window": "cell", "readings": {"cpu_s": [v, "getrusage", None]}} for v in (1.0, 2.0)]
    record = tmp_path / "record.jsonl"
    record.write_text("\n".join(map(json.dumps, lines)))
    meter = ReplayMeter.from_jsonl(record)

    seen = []
    for _ in range(2):
        with meter.window("cell") as window:
            pass
        seen.append(window.value(Quantity.CPU_S))

    assert seen == [1.0, 2.0]
    with pytest.raises(EvidenceError, match="no window 'cell' is left"), meter.window("cell"):
        pass


def test_a_broken_record_names_its_line(tmp_path: Path) -> None:
    """A line that is no recorded window is refused with its number."""
    record = tmp_path / "record.jsonl"
    record.write_text('{"window": "a", "readings": {}}\nnot json\n')

    with pytest.raises(EvidenceError, match=r"record\.jsonl line 2"):
        ReplayMeter.from_jsonl(record)
