"""Fakes of clocks, meters, servers and engines; nothing in the domain is ever patched."""

from __future__ import annotations

import contextlib
import math
import random
from typing import TYPE_CHECKING

from deltastack.testbed.ledger import Entry
from deltastack.testbed.meter import Quantity, Reading
from deltastack.testbed.plan import Slot, plain

if TYPE_CHECKING:
    from collections.abc import Iterator


class FakeRunner:
    """A cell runner whose amounts are lognormal noise around planted factors; no work is done."""

    def __init__(self, start: int, factors: dict[str, float], sd_log: float) -> None:
        """Take the planted factor of each cell (1.0 where it has none) and the spread."""
        self._factors, self._sd = factors, sd_log
        self._random = random.Random(f"fake/{start}")  # noqa: S311 - planted noise, not a secret

    def __call__(self, slot: Slot) -> Entry:
        """One run of ``slot``."""
        log = math.log(self._factors.get(plain(slot.cell), 1.0))
        amount = math.exp(log + self._random.gauss(0, self._sd))
        return Entry(
            slot=slot,
            readings={Quantity.CPU_S: Reading(amount, "fake"), Quantity.ENERGY_J: Reading(None, "fake", "no counter")},
            components={"attention": {"time_s": amount}},
            quality={"requests": 4.0},
        )


@contextlib.contextmanager
def fake_runner(start: int, factors: dict[str, float], sd_log: float, fail_at: str | None = None) -> Iterator[FakeRunner]:
    """Open a fake runner; with ``fail_at`` the run whose key starts with it raises."""
    runner = FakeRunner(start, factors, sd_log)

    def call(slot: Slot) -> Entry:
        if fail_at is not None and slot.key.startswith(fail_at):
            raise RuntimeError(f"planted failure at {slot.key}")
        return runner(slot)

    yield call  # type: ignore[misc]
