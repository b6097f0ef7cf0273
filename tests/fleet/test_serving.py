"""What decides when requests end, and work that several ask for."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from deltastack.fleet import accelerator, evaluate, settings
from deltastack.fleet.deployment import Autoscaling, Deployment, Encoder, KvTier, Memory, Packaging, Storage
from deltastack.fleet.once import Once
from tests.fakes import fake_trace

ROOT = Path(__file__).parents[2]
TRACE = fake_trace(50, 2.0)
VALUES = settings.load(ROOT).values
BASE = replace(VALUES.deployment.deployment(), replicas=2)
TIER = KvTier(medium="host", hit_rate=0.5, covered_fraction=0.5, read_bytes_per_s=5e10)


def key(deployment: Deployment) -> str:
    """Of its server."""
    return evaluate.prepare(deployment, TRACE, accelerator.load(ROOT, "h100_sxm"), VALUES).server.key


@pytest.mark.parametrize(
    "changed",
    [
        replace(BASE, packaging=Packaging(maker_usd=-100.0)),
        replace(BASE, storage=replace(BASE.storage, aligned=True, scheduler="first_come")),
        replace(BASE, memory=Memory(host_bytes_per_replica=1e12, pooled_share=0.3, pool_hosts=8)),
        replace(BASE, encoder=Encoder(sleep_policy="timeout", wake_s=9.0)),
        replace(BASE, autoscaling=Autoscaling(released=True, sleep_state="context")),
        replace(BASE, notes={"a": "words"}),
    ],
)
def test_what_changes_no_time_has_the_same_server(changed: Deployment) -> None:
    """Money, drives that nobody reads, pools of memory, sleep of an encoder that has no accelerator of its own."""
    assert key(changed) == key(BASE)


@pytest.mark.parametrize(
    "changed",
    [
        replace(BASE, replicas=3),
        replace(BASE, host_step_s=1.0),
        replace(BASE, precision="fp8"),
        replace(BASE, router="least_loaded"),
        replace(BASE, kv_tier=TIER),
        replace(BASE, encoder=Encoder(placement="pool", pool_size=1)),
        replace(BASE, encoder=Encoder(placement="pool", pool_size=1, transfer_latency_s=1.0)),
    ],
)
def test_what_changes_a_time_has_another(changed: Deployment) -> None:
    """Whatever the simulation reads."""
    assert key(changed) != key(BASE)


def test_a_tier_reads_what_it_lies_on() -> None:
    """A tier in host memory minds the pool, one on flash the drive; neither minds the other."""
    host, flash = (replace(BASE, kv_tier=replace(TIER, medium=m, read_bytes_per_s=1e10)) for m in ("host", "flash"))
    pool = Memory(pooled_share=0.5, pool_hosts=2, pool_bytes_per_s=1e9)
    drive = Storage(read_bytes_per_s=1e9)

    assert key(replace(host, memory=pool)) != key(host)
    assert key(replace(host, storage=drive)) == key(host)
    assert key(replace(flash, storage=drive)) != key(flash)


def test_of_several_one_works() -> None:
    """Four threads ask for one key at once: it is made once, and all of them have it."""
    once, made, start = Once(2), [], threading.Barrier(4)
    found = []

    def make() -> int:
        made.append(1)
        return 7

    def ask() -> None:
        start.wait()
        found.append(once.of("k", make))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert (found, len(made)) == ([7] * 4, 1)


def test_the_last_asked_for_are_kept() -> None:
    """Of two places the one that was asked for longest ago is given to the third."""
    once, made = Once(2), []
    for name in ("a", "b", "a", "c", "a", "b"):
        once.of(name, lambda name=name: made.append(name))

    assert made == ["a", "b", "c", "b"]


def test_an_error_is_raised_for_all() -> None:
    """Whoever asks later hears of it too."""
    once = Once(2)

    def fail() -> None:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            once.of("k", fail)
