"""Prefixes and image embeddings restored from a tier below accelerator memory, where that is quicker than computing them.

A request of s prompt tokens that hits finds n = floor(covered s) tokens, of which those already cached are not restored:

    restore_s = latency_s + first_page_s + bytes / bytes_per_s              bytes = (n - cached) kv_bytes_per_token
    compute_s = linear_s(n - cached) + prefill_attention_s(n - cached, cached)
    delay_s += wait + restore_s                                              one queue a replica, first come, first served

Only what was written can be restored. Of the reuse the tier holds h(w), w the share of what is computed that is written: points
of ``coverage``, straight between, h(0) = 0 and h(1) = 1. Published: the most used 10 % of blocks bring 77 % of the reuse
(arXiv 2506.02634), so h(0.1) = 0.77; straight lines are the least that a concave curve through these points can be.

A prefix is still there if it comes again within retention_s = capacity_bytes / bytes written a second. What comes again sooner
than own_s = room_bytes / bytes computed a second is in accelerator memory yet, where every engine looks first (prefix caching is
on by default in vLLM and SGLang): the tier is credited with none of it. So of the hits

    kept = h(w) (exp(-own_s / mean_reuse_interval_s) - exp(-retention_s / mean_reuse_interval_s))

are left, none where the tier forgets sooner than the accelerator (times the share of the writes that a flash drive takes). It
restores only if restore_s < compute_s. Images whose embeddings hit are weighed against their encoder run in the same way. Hits
are spread evenly over the requests in order of arrival (golden-ratio sequence), so that the same requests hit in every cell.
Requests meet replicas in turn for the queue of the tier.

Source: this project. Assumes: what is written is what comes again most often (a policy that knows it); a policy that does not
holds h(w) = w. Hit ratios are a property of the traffic: where the workload does not tell its prefixes they are assumed.
Where it does, nothing is assumed: the tier finds the prefixes that accelerator memory forgot (``prefix_cache``) and that come
again within its own room, as far as it wrote them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from deltastack.errors import OutOfValidityError, ParamsError
from deltastack.fleet.deployment import KvTier
from deltastack.fleet.effects import flash, prefix_cache
from deltastack.fleet.effects.recompute import compute_s, embedding_bytes, encode_s, kv_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.fleet.deployment import Deployment, Memory
    from deltastack.fleet.operators import OperatorTables
    from deltastack.fleet.simulator import Requests

MEDIA = ("none", "flash", "host")
PREFIXES, IMAGES = (5**0.5 - 1) / 2, 2**0.5 - 1
"""Steps of two sequences that fill 0..1 evenly and independently of each other."""


LEAST_REQUESTS = 100
"""Fewer than so many requests tell no rate, so that their queue is not called endless."""


class Tier(NamedTuple):
    """What the tier does to each of R requests, and in sum."""

    cached_tokens: NDArray[np.int64]
    cached_images: NDArray[np.int64]
    restored_bytes: NDArray[np.float64]
    """(R,)."""
    written_bytes: NDArray[np.float64]
    """(R,) newly computed keys, values and embeddings that the tier takes."""
    delay_s: NDArray[np.float64]
    """(R,) wait and restore."""
    bytes_per_s: float
    utilisation: float
    """Of the busiest replica's tier."""
    kept: float
    """Share of the hits for which the tier held what was wanted and accelerator memory no longer did."""
    own: float
    """Share of the hits that accelerator memory still held, with or without a tier."""

    def words(self, requests: Requests) -> str:
        """What it did for ``requests``, in words."""
        images = int((self.cached_images - requests.cached_images).sum())
        told = (
            "the workload tells its prefixes, so none is assumed beside them; "
            if requests.told_tokens.any() or requests.cached_tokens.any()
            else ""
        )
        tokens = float((self.cached_tokens - requests.cached_tokens).sum()) / float(requests.prompt_tokens.sum())
        return (
            f"{told}{tokens:.1%} of prompt tokens and {images:,} images restored at {self.bytes_per_s / 1e9:.1f} GB/s: "
            f"{self.restored_bytes.sum() / 1e12:.2f} TB read, {self.written_bytes.sum() / 1e12:.2f} TB written; of what comes "
            f"again accelerator memory still had {self.own:.0%}, which is credited to nobody, and the tier {self.kept:.0%} more; "
            f"a tier is busy {self.utilisation:.1%} of the time"
        )


def requests(requests: Requests, deployment: Deployment, tables: OperatorTables, *, room_bytes: float = 0.0) -> Requests:
    """``requests`` with what the tier restores (``cached_tokens``, ``cached_images``) and its delay: the identity without hits.

    Args:
        requests: In order of arrival.
        deployment: Its tier.
        tables: Operator times.
        room_bytes: For keys and values in the accelerators of a replica.

    Raises:
        ParamsError: A medium that nobody knows.
        OutOfValidityError: A tier without bandwidth, or one whose restores need more than all of its time.
    """
    return restored(requests, tier(requests, deployment, tables, room_bytes=room_bytes))


def restored(requests: Requests, found: Tier | None) -> Requests:
    """``requests`` as a tier leaves them."""
    if found is None:
        return requests
    return replace(
        requests,
        cached_tokens=found.cached_tokens,
        cached_images=found.cached_images,
        delay_s=requests.delay_s + found.delay_s,
    )


def tier(requests: Requests, deployment: Deployment, tables: OperatorTables, *, room_bytes: float = 0.0) -> Tier | None:
    """What is restored and written; None where there is no tier.

    Raises:
        ParamsError: As ``requests``.
        OutOfValidityError: As ``requests``.
    """
    kept = deployment.kv_tier
    if kept == KvTier():
        return None
    if kept.medium not in MEDIA[1:]:
        raise ParamsError(f"kv_tier.medium = {kept.medium!r}, must be one of {', '.join(MEDIA[1:])}")
    media = _medium(deployment, _computed_per_s(requests, deployment, tables), room_bytes)
    cached, fetched = _prefixes(requests, kept, tables, media)
    images, embedded = _images(requests, kept, tables, media)
    moved = fetched * kv_bytes(tables) + embedded
    service_s = np.where(moved > 0, media.latency_s + moved / media.bytes_per_s, 0.0)
    left = replace(requests, cached_tokens=cached, cached_images=images)
    return Tier(
        cached_tokens=cached,
        cached_images=images,
        restored_bytes=moved,
        written_bytes=_computed_bytes(left, tables) * kept.write_share * media.written,
        delay_s=_queued(requests.arrival_s, service_s, deployment.replicas),
        bytes_per_s=media.bytes_per_s,
        utilisation=_utilisation(requests.arrival_s, service_s, deployment.replicas),
        kept=media.kept,
        own=media.own,
    )


class _Medium(NamedTuple):
    latency_s: float
    bytes_per_s: float
    written: float
    """Share of the wanted writes that it takes."""
    kept: float
    """Share of the hits for which it holds what is wanted and accelerator memory no longer does."""
    own: float
    """Share of the hits that accelerator memory still holds."""
    room_bytes: float
    replicas: int
    """Each with accelerator memory and a tier of its own."""


def coverage(kept: KvTier) -> float:
    """Share of the reuse that what is written holds, h(write_share).

    >>> coverage(KvTier(write_share=0.05, coverage=((0, 0), (0.1, 0.77), (1, 1))))
    0.385

    Raises:
        OutOfValidityError: A curve that does not rise from (0, 0) to (1, 1), or holds less than its straight lines would.
    """
    written, held = (np.array(axis, dtype=np.float64) for axis in zip(*kept.coverage, strict=True))
    slopes = np.diff(held) / np.diff(written) if (np.diff(written) > 0).all() else np.array([-1.0])
    ends = (written[0], held[0], written[-1], held[-1]) == (0.0, 0.0, 1.0, 1.0)
    if not ends or (slopes < 0).any() or (np.diff(slopes) > 0).any():
        raise OutOfValidityError(
            f"kv_tier.coverage must rise from (0, 0) to (1, 1), ever more slowly; found {kept.coverage}: what is written first "
            "is what comes again most often"
        )
    return float(np.interp(kept.write_share, written, held))


def _medium(deployment: Deployment, computed_bytes_per_s: float, room_bytes: float) -> _Medium:
    """The tier as restores find it."""
    kept, storage = deployment.kv_tier, deployment.storage
    write_bytes_per_s, covered = computed_bytes_per_s * kept.write_share, coverage(kept)
    own = (
        _retained(room_bytes, computed_bytes_per_s, kept.mean_reuse_interval_s)
        if room_bytes and kept.mean_reuse_interval_s
        else 0.0
    )
    if kept.read_bytes_per_s <= 0:
        raise OutOfValidityError(f"a tier of keys and values needs a bandwidth above 0, found {kept.read_bytes_per_s} B/s")
    if kept.medium == "host":
        rate = _through_pool(kept.read_bytes_per_s, deployment.memory)
        latency_s = kept.latency_s + deployment.memory.pooled_share * deployment.memory.pool_latency_s
        retained = _retained(kept.capacity_bytes, write_bytes_per_s, kept.mean_reuse_interval_s)
        return _Medium(latency_s, rate, 1.0, covered * max(retained - own, 0.0), own, room_bytes, deployment.replicas)
    found = flash.contended(storage, read_bytes_per_s=0.0, write_bytes_per_s=write_bytes_per_s)
    rate = min(kept.read_bytes_per_s, found.bytes_per_s)
    retained = (
        max(_retained(kept.capacity_bytes, found.write_bytes_per_s, kept.mean_reuse_interval_s) - own, 0.0)
        * found.written
        * covered
    )
    latency_s = kept.latency_s + found.first_page_s
    return _Medium(latency_s, rate, found.written, retained, own, room_bytes, deployment.replicas)


def _through_pool(bytes_per_s: float, memory: Memory) -> float:
    """Bandwidth [B/s] of host memory of which a share lies on a pool."""
    if memory.pooled_share == 0:
        return bytes_per_s
    slowest = min(bytes_per_s, memory.pool_bytes_per_s)
    return 1 / ((1 - memory.pooled_share) / bytes_per_s + memory.pooled_share / slowest)


def _retained(held_bytes: float, write_bytes_per_s: float, mean_reuse_interval_s: float) -> float:
    """Share of what comes again that does so before as much has been written over it."""
    if mean_reuse_interval_s == 0 or write_bytes_per_s == 0:
        return 1.0
    return float(-np.expm1(-held_bytes / write_bytes_per_s / mean_reuse_interval_s))


def _computed_per_s(requests: Requests, deployment: Deployment, tables: OperatorTables) -> float:
    """Keys, values and embeddings [B/s] that one replica computes."""
    span_s = float(requests.arrival_s[-1] - requests.arrival_s[0]) if requests.arrival_s.size else 0.0
    return float(_computed_bytes(requests, tables).sum()) / span_s / deployment.replicas if span_s > 0 else 0.0


def _computed_bytes(requests: Requests, tables: OperatorTables) -> NDArray[np.float64]:
    """Keys, values and embeddings (R,) [bytes] that are computed for requests."""
    new = requests.prompt_tokens + requests.output_tokens - requests.cached_tokens
    encoded = requests.images - requests.cached_images if tables.multimodal else np.zeros_like(requests.images)
    share = encoded / np.maximum(requests.images, 1)
    found: NDArray[np.float64] = new * kv_bytes(tables) + requests.image_tokens * share * embedding_bytes(tables)
    return found


def _hits(count: int, step: float, share: float) -> NDArray[np.bool_]:
    """Which of ``count`` requests hit: an even sequence, in order of arrival."""
    return np.asarray((np.arange(1, count + 1) * step) % 1.0 < share)


def _prefixes(
    requests: Requests, kept: KvTier, tables: OperatorTables, media: _Medium
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cached tokens (R,) after restoring, and how many of them are restored."""
    before = requests.cached_tokens
    if requests.told_tokens.any() or before.any():
        room_tokens = (kept.capacity_bytes + media.room_bytes) / kv_bytes(tables)
        hit = _hits(before.size, PREFIXES, coverage(kept) * media.written)
        hit &= prefix_cache.there(requests, room_tokens, media.replicas) & (requests.reuse_requests > 0)
        reach = np.minimum(requests.told_tokens, requests.prompt_tokens - 1)
    else:
        hit = _hits(before.size, PREFIXES, kept.hit_rate * media.kept)
        reach = np.minimum((kept.covered_fraction * requests.prompt_tokens).astype(np.int64), requests.prompt_tokens - 1)
    more = np.where(hit, np.maximum(reach - before, 0), 0)
    restore_s = media.latency_s + more * kv_bytes(tables) / media.bytes_per_s
    pays = (more > 0) & (restore_s < compute_s(tables, more, before))
    fetched = np.where(pays, more, 0)
    return before + fetched, fetched


def _images(
    requests: Requests, kept: KvTier, tables: OperatorTables, media: _Medium
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Images (R,) that need no encoder run, and the bytes of the embeddings that are restored for them."""
    before, count = requests.cached_images, requests.images
    none = np.zeros(before.size)
    if not tables.multimodal:
        return before, none
    hit = _hits(before.size, IMAGES, kept.image_hit_share * media.kept) & (count > before)
    share = np.divide(count - before, count, out=np.zeros(before.size), where=count > 0)
    embedded = requests.image_tokens * share * embedding_bytes(tables)
    size = np.divide(requests.image_tokens, count, out=np.ones(before.size), where=count > 0)
    computed_s = encode_s(tables, np.maximum(count - before, 1), size)
    pays = hit & (media.latency_s + embedded / media.bytes_per_s < computed_s)
    return np.where(pays, count, before), np.where(pays, embedded, none)


def _queued(arrival_s: NDArray[np.float64], service_s: NDArray[np.float64], replicas: int) -> NDArray[np.float64]:
    """Wait and service (R,) in one queue a replica, requests meeting replicas in turn (Lindley)."""
    delay = np.zeros(arrival_s.size)
    for g in range(replicas):
        s, a = service_s[g::replicas], arrival_s[g::replicas]
        if s.size:
            backlog = np.concatenate([[0.0], np.cumsum(s[:-1] - np.diff(a))])
            delay[g::replicas] = np.where(s > 0, backlog - np.minimum.accumulate(backlog) + s, 0.0)
    return delay


def _utilisation(arrival_s: NDArray[np.float64], service_s: NDArray[np.float64], replicas: int) -> float:
    """Share of the span that the busiest tier restores; 0 where all arrive at once.

    Raises:
        OutOfValidityError: It needs more than all of its time, over enough requests to know.
    """
    span_s = float(arrival_s[-1] - arrival_s[0]) if arrival_s.size else 0.0
    busy = max((float(service_s[g::replicas].sum()) for g in range(replicas)), default=0.0)
    if arrival_s.size >= LEAST_REQUESTS and busy >= span_s > 0:
        raise OutOfValidityError(
            f"restores need {busy / span_s:.2f} of a tier's time: its bandwidth is shared by more than it carries; fewer hits or "
            "a quicker tier"
        )
    return busy / span_s if span_s > 0 else 0.0
