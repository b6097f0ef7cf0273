"""The tier: by hand, no hits no change, the break-even bandwidth, queues, retention, limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import OutOfValidityError, ParamsError
from deltastack.fleet.deployment import Deployment, KvTier, Memory, Storage
from deltastack.fleet.effects import kv_tier, recompute
from deltastack.fleet.operators import load_tables
from deltastack.fleet.simulator import Requests
from tests.fakes import fake_tables, fake_trace

QWEN = load_tables("Qwen/Qwen3-VL-8B-Instruct", "h100_sxm", "bf16")
PUBLISHED = ((0.0, 0.0), (0.1, 0.77), (1.0, 1.0))
HOST = KvTier(medium="host", hit_rate=1.0, covered_fraction=0.5, read_bytes_per_s=50e9, latency_s=1e-3, write_share=1.0)


def deployment(kept: KvTier, *, replicas: int = 1, **more: object) -> Deployment:
    """Something that serves, with a tier."""
    base = Deployment(model=QWEN.model, platform="h100_sxm", replicas=replicas, kv_tier=kept)
    return replace(base, **more)  # type: ignore[arg-type]


def trace(arrival_s: list[float], prompt: list[int], *, images: int = 0, image_tokens: int = 0) -> Requests:
    """Requests with one output token each."""
    n = len(arrival_s)
    none = np.zeros(n, np.int64)
    return Requests(
        arrival_s=np.array(arrival_s),
        images=none + images,
        image_tokens=none + image_tokens,
        prompt_tokens=np.array(prompt),
        output_tokens=none + 1,
        cached_tokens=none,
        cached_images=none,
        delay_s=np.zeros(n),
    )


def test_by_hand() -> None:
    """Two prompts of 2000 tokens at 0 s and 1 ms, half of each restored: 1000 x 147,456 B at 50 GB/s and 1 ms are 3.949 ms.

    The second waits 2.949 ms for the first. Of 2001 - 1000 tokens each that are computed all are written.
    """
    requests = trace([0.0, 1e-3], [2000, 2000])
    found = kv_tier.tier(requests, deployment(HOST), QWEN)
    once = 1e-3 + 1000 * 147456 / 50e9

    assert found is not None
    assert found.cached_tokens.tolist() == [1000, 1000]
    assert found.delay_s == pytest.approx([once, 2 * once - 1e-3])
    assert found.restored_bytes == pytest.approx([147456e3, 147456e3])
    assert found.written_bytes == pytest.approx([1001 * 147456.0] * 2)


def test_two_replicas_do_not_wait_for_each_other() -> None:
    """The same two prompts on a tier each: both 3.949 ms."""
    requests = kv_tier.requests(trace([0.0, 1e-3], [2000, 2000]), deployment(HOST, replicas=2), QWEN)

    assert requests.delay_s == pytest.approx([1e-3 + 1000 * 147456 / 50e9] * 2)


@pytest.mark.parametrize("medium", ["host", "flash"])
def test_nothing_is_saved_at_hit_ratio_zero(medium: str) -> None:
    """Hit ratio 0: every request is as it was, exactly (negative control)."""
    requests = fake_trace(50, 5.0)
    kept = replace(HOST, medium=medium, hit_rate=0.0, image_hit_share=0.0, write_share=0.0)
    storage = Storage(drive_bytes=1e12, read_bytes_per_s=12e9)
    found = kv_tier.requests(requests, deployment(kept, storage=storage), QWEN)

    assert all((getattr(found, k) == getattr(requests, k)).all() for k in ("cached_tokens", "cached_images", "delay_s"))


def test_break_even_of_the_default_model() -> None:
    """Qwen3-VL-8B on H100: 147,456 B a token against about 22 us of prefill are 6.7 GB/s; 6.1 at 8,192 tokens, 12.4 at 512."""
    bandwidths = [recompute.break_even_bytes_per_s(QWEN, n) for n in (512, 8192)]

    assert bandwidths == pytest.approx([12.4e9, 6.14e9], rel=0.02)
    assert bandwidths[1] == pytest.approx(6.7e9, rel=0.1)


def test_the_tier_is_not_credited_with_what_accelerator_memory_still_has() -> None:
    """By hand: 2000 tokens a second are computed and written; 120,000 tokens of room hold 60 s, 1,200,000 of the tier 600 s.

    What comes again after 300 s in the mean is in accelerator memory in 18.1 % of cases, on the tier in 68.3 % more.
    """
    steady = trace([float(n) for n in range(1001)], [1997] * 1001)
    kept = replace(HOST, capacity_bytes=1_200_000 * 147456.0, mean_reuse_interval_s=300.0)
    found = kv_tier.tier(steady, deployment(kept), QWEN, room_bytes=120_000 * 147456.0)

    assert found is not None
    assert (found.own, found.kept) == (
        pytest.approx(1 - np.exp(-0.2), rel=0.01),
        pytest.approx(np.exp(-0.2) - np.exp(-2), rel=0.01),
    )
    assert (found.cached_tokens > 0).mean() == pytest.approx(found.kept, abs=0.01)
    assert "accelerator memory still had 18%, which is credited to nobody, and the tier 68% more" in found.words(steady)


@pytest.mark.parametrize(("write_share", "held"), [(0.0, 0.0), (0.05, 0.385), (0.1, 0.77), (0.5, 0.87222), (1.0, 1.0)])
def test_only_what_was_written_comes_back(write_share: float, held: float) -> None:
    """By hand: the first 10 % of blocks bring 77 % of the reuse, half of the first 10 % half of that, half of all 87.2 %."""
    steady = trace([float(n) for n in range(2001)], [1999] * 2001)
    found = kv_tier.tier(steady, deployment(replace(HOST, write_share=write_share, coverage=PUBLISHED)), QWEN)

    assert found is not None
    assert found.kept == pytest.approx(held, abs=1e-5)
    assert (found.cached_tokens > 0).mean() == pytest.approx(held, abs=1e-3)
    assert found.restored_bytes.sum() == pytest.approx(held * 2001 * 999 * 147456, rel=2e-3, abs=0)
    if write_share == 0:
        assert found.written_bytes.sum() == 0.0


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_more_written_never_holds_less_and_never_less_than_its_share(one: float, other: float) -> None:
    """The curve rises, is concave, and lies on or above the straight line of a policy that does not choose."""
    low, high = (kv_tier.coverage(replace(HOST, write_share=w, coverage=PUBLISHED)) for w in sorted((one, other)))
    middle = kv_tier.coverage(replace(HOST, write_share=(one + other) / 2, coverage=PUBLISHED))

    assert low <= high
    assert middle >= (low + high) / 2 - 1e-12
    assert min(one, other) - 1e-12 <= low
    assert kv_tier.coverage(replace(HOST, write_share=one)) == pytest.approx(one)


def test_embeddings_are_written_before_they_come_back() -> None:
    """Three requests with an image of 256 tokens: half of 300 keys and of 256 embeddings of 32,768 bytes is written each."""
    kept = replace(HOST, hit_rate=0.0, image_hit_share=0.0, write_share=0.5)
    found = kv_tier.tier(trace([0.0, 1.0, 2.0], [299] * 3, images=1, image_tokens=256), deployment(kept), QWEN)

    assert found is not None
    assert found.written_bytes == pytest.approx([0.5 * (300 * 147456 + 256 * 32768)] * 3)


def test_a_tier_that_forgets_sooner_than_the_accelerator_restores_nothing() -> None:
    """A tier of less than the accelerator's own room has nothing that is not there already."""
    steady = trace([float(n) for n in range(101)], [2000] * 101)
    small = replace(HOST, capacity_bytes=10_000 * 147456.0, mean_reuse_interval_s=300.0)
    found = kv_tier.tier(steady, deployment(small), QWEN, room_bytes=120_000 * 147456.0)

    assert found is not None
    assert found.kept == 0.0
    assert found.restored_bytes.sum() == 0.0


def test_nothing_is_assumed_on_top_of_prefixes_that_the_workload_tells() -> None:
    """One request of ten with a known prefix: the workload says what comes again, no other one is made up, and words say so."""
    known = trace([float(n) for n in range(10)], [2000] * 10)
    known = replace(known, cached_tokens=np.array([0] * 9 + [500]))
    found = kv_tier.tier(known, deployment(HOST), QWEN)

    assert found is not None
    assert found.cached_tokens.tolist() == [0] * 9 + [500]
    assert found.restored_bytes.sum() == 0
    assert found.words(known).startswith("the workload tells its prefixes, so none is assumed beside them; 0.0% of prompt tokens")


@pytest.mark.parametrize(("share_of_break_even", "restored"), [(0.9, 0), (1.1, 1000)])
def test_it_restores_only_above_the_break_even(share_of_break_even: float, restored: int) -> None:
    """A prefix of 1000 tokens is restored above its own break-even bandwidth and computed below it."""
    bandwidth = share_of_break_even * recompute.break_even_bytes_per_s(QWEN, 1000)
    kept = replace(HOST, read_bytes_per_s=bandwidth, latency_s=0.0)
    found = kv_tier.requests(trace([0.0], [2000]), deployment(kept), QWEN)

    assert found.cached_tokens.tolist() == [restored]
    assert (found.delay_s > 0).tolist() == [restored > 0]


def test_images_are_restored_with_their_deepstack_levels() -> None:
    """4 images of 256 tokens: 1024 x 4096 x 2 B x (1 + 3 levels) against an encoder run of more than 1 ms: restored."""
    kept = replace(HOST, hit_rate=0.0, image_hit_share=1.0)
    found = kv_tier.tier(trace([0.0], [2000], images=4, image_tokens=1024), deployment(kept), QWEN)

    assert found is not None
    assert found.cached_images.tolist() == [4]
    assert found.restored_bytes == pytest.approx([1024 * 4096 * 2 * 4])
    assert recompute.encode_s(QWEN, np.array([4]), np.array([256.0]))[0] > 1e-3 + 1024 * 4096 * 2 * 4 / 50e9


def test_hits_are_spread_evenly() -> None:
    """A hit share of 0.3 over 10,000 requests is met within 0.1 %, and within 2 of any 100 in a row."""
    hits = kv_tier._hits(10_000, kv_tier.PREFIXES, 0.3)

    assert hits.mean() == pytest.approx(0.3, abs=1e-3)
    assert all(abs(hits[i : i + 100].sum() - 30) <= 2 for i in range(0, 10_000, 100))


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.floats(1e9, 1e11), st.integers(1, 4))
def test_bounds(hit_rate: float, covered: float, bandwidth: float, replicas: int) -> None:
    """At least one token of every prompt is computed, nothing is un-cached, and only restores wait."""
    requests = fake_trace(60, 1.0)
    kept = replace(HOST, hit_rate=hit_rate, covered_fraction=covered, image_hit_share=hit_rate, read_bytes_per_s=bandwidth)
    found = kv_tier.tier(requests, deployment(kept, replicas=replicas), QWEN)

    assert found is not None
    assert (found.cached_tokens >= requests.cached_tokens).all()
    assert (found.cached_tokens <= requests.prompt_tokens - 1).all()
    assert (found.cached_images <= requests.images).all()
    assert ((found.delay_s > 0) == (found.restored_bytes > 0)).all()


def test_a_tier_forgets() -> None:
    """A tier that holds 100 s of writes, prefixes that come again after 100 s: 1 - 1/e of the hits are left, 63.2 %."""
    requests = trace(list(np.linspace(0, 1000, 2001)), [2000] * 2001)
    rate = 2001 * 2001 * 147456 / 1000
    kept = replace(HOST, capacity_bytes=100 * rate, mean_reuse_interval_s=100.0)
    found = kv_tier.requests(requests, deployment(kept), QWEN)

    assert (found.cached_tokens > 0).mean() == pytest.approx(1 - np.exp(-1), abs=2e-3)


def test_a_zoned_drive_keeps_more() -> None:
    """Writes beyond what a conventional drive takes are dropped and do not hit; with amplification 1 more hit."""
    requests = trace(list(np.linspace(0, 100, 1001)), [2000] * 1001)
    kept = replace(HOST, medium="flash", read_bytes_per_s=1e12, write_share=1.0, latency_s=0.0)
    hits = []
    for amplification in (2.5, 1.0):
        storage = Storage(drive_bytes=1e12, read_bytes_per_s=1e12, write_amplification=amplification, page_read_s=1e-6)
        found = kv_tier.requests(requests, deployment(kept, storage=storage), QWEN)
        hits.append((found.cached_tokens > 0).mean())

    assert 0.2 < hits[0] < hits[1] < 1.0


def test_a_pool_slows_the_share_that_lies_on_it() -> None:
    """Half of host memory on a pool of a quarter of the bandwidth: 50 GB/s become 1 / (0.5/50 + 0.5/12.5) = 20 GB/s."""
    memory = Memory(pooled_share=0.5, pool_hosts=8, pool_bytes_per_s=12.5e9)
    found = kv_tier.tier(trace([0.0], [2000]), deployment(HOST, memory=memory), QWEN)

    assert found is not None
    assert found.bytes_per_s == pytest.approx(20e9)


def test_a_text_only_model_has_no_images_to_restore() -> None:
    """The tier of a model without an encoder leaves images alone."""
    requests = fake_trace(20, 1.0)
    kept = replace(HOST, hit_rate=0.0, image_hit_share=1.0)

    assert (kv_tier.requests(requests, deployment(kept), fake_tables(multimodal=False)).cached_images == 0).all()


def test_refusals() -> None:
    """No bandwidth, an unknown medium, restores that need more than all of the tier's time."""
    requests = trace(list(np.linspace(0, 1, 1000)), [20_000] * 1000)
    with pytest.raises(OutOfValidityError, match="bandwidth above 0"):
        kv_tier.requests(requests, deployment(replace(HOST, read_bytes_per_s=0.0)), QWEN)
    with pytest.raises(ParamsError, match="flash, host"):
        kv_tier.requests(requests, deployment(replace(HOST, medium="tape")), QWEN)
    for curve in (((0.0, 0.1), (1.0, 1.0)), ((0.0, 0.0), (0.5, 0.3), (1.0, 1.0)), ((0.0, 0.0), (0.0, 0.5), (1.0, 1.0))):
        with pytest.raises(OutOfValidityError, match="ever more slowly"):
            kv_tier.requests(requests, deployment(replace(HOST, coverage=curve)), QWEN)
    with pytest.raises(OutOfValidityError, match="shared by more than it carries"):
        kv_tier.requests(requests, deployment(HOST), QWEN)
