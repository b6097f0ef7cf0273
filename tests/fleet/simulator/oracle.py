"""The simulator once more: plain Python, objects, one engine step at a time. Slow, and written to be read.

It shares nothing with deltastack.fleet.simulator but the interface. At every instant: steps end, requests become
eligible, requests arrive, free replicas start their next step, in that order.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltastack.fleet.operators.tables import OperatorTables
    from deltastack.fleet.simulator.interface import Config, Requests


def line(grid: Sequence[float], values: Sequence[float], x: float) -> float:
    """Linear between grid points, constant before the first, the last segment open-ended, a lone point constant."""
    if len(grid) == 1 or x <= grid[0]:
        return values[0]
    i = min(max(bisect_right(grid, x) - 1, 0), len(grid) - 2)
    return values[i] + (values[i + 1] - values[i]) * (x - grid[i]) / (grid[i + 1] - grid[i])


def plane(rows: Sequence[float], columns: Sequence[float], table: Any, x: float, y: float) -> float:
    """Linear along the columns of every row, then along the rows."""
    return line(rows, [line(columns, list(row), y) for row in table], x)


@dataclass(eq=False)
class Job:
    """One request on its way."""

    number: int
    prompt: int
    output: int
    cached: int
    images: int
    image_size: float
    delay_s: float
    emitted: int = 0
    keys: int = 0
    """Its tokens in memory."""
    computed: int = 0
    """Of the tokens it must compute before the next output token, how many are there."""
    decoding: bool = False
    begins: list[int] = field(default_factory=list)
    """At which token of its prompt each image that is not encoded yet begins."""

    @property
    def target(self) -> int:
        """Tokens to have in memory before it decodes."""
        return self.prompt + self.emitted


@dataclass(eq=False)
class Replica:
    """One engine."""

    queue: list[Job] = field(default_factory=list)
    running: list[Job] = field(default_factory=list)
    unfinished: list[Job] = field(default_factory=list)
    ends_s: float | None = None
    free_since_s: float = 0.0
    awake_s: float = 0.0
    emitting: list[Job] = field(default_factory=list)
    peak: int = 0

    @property
    def keys(self) -> int:
        """Tokens in memory."""
        return sum(job.keys for job in self.running)

    @property
    def open_prompts(self) -> list[Job]:
        """Those that run and have not all of their prompt in memory yet: one at most, between steps."""
        return [job for job in self.running if not job.decoding]


class Oracle:
    """Run it by ``Oracle(tables, requests, config).run()``; the answer has the names of ``Result``."""

    def __init__(self, tables: OperatorTables, requests: Requests, config: Config) -> None:
        """Make the jobs and the idle replicas."""
        self.t, self.c, self.r = tables, config, requests
        self.jobs = [
            Job(
                number=i,
                prompt=int(requests.prompt_tokens[i]),
                output=int(requests.output_tokens[i]),
                cached=min(int(requests.cached_tokens[i]), int(requests.prompt_tokens[i]) - 1),
                images=int(requests.images[i] - requests.cached_images[i]),
                image_size=float(requests.image_tokens[i] / max(requests.images[i], 1)),
                delay_s=float(requests.delay_s[i]),
            )
            for i in range(requests.arrival_s.size)
        ]
        for job in self.jobs:
            job.begins = [job.cached + k * (job.prompt - job.cached) // job.images for k in range(job.images)]
        self.coming = list(self.jobs)
        self.arrivals = sorted([0.0] * config.clients if config.clients else requests.arrival_s.tolist())
        self.later: list[tuple[float, int]] = []
        self.replicas = [Replica() for _ in range(config.replicas)]
        self.pool_s = [0.0] * config.encoder_pool
        self.start_s, self.first_token_s, self.finish_s = {}, {}, {}  # type: dict[int, float], dict[int, float], dict[int, float]
        self.replica: dict[int, int] = {}
        self.sum: Counter[str] = Counter()
        self.gaps: list[tuple[int, float, float]] = []
        self.encoder_gaps: list[tuple[int, float, float]] = []

    def run(self) -> dict[str, Any]:
        """Serve all; what happened."""
        while len(self.finish_s) < len(self.jobs):
            now = min(
                [r.ends_s for r in self.replicas if r.ends_s is not None] + [x for x, _ in self.later] + self._next_arrival()
            )
            for replica in self.replicas:
                if replica.ends_s == now:
                    self.end_step(replica, now)
            for entry in sorted(e for e in self.later if e[0] == now):
                self.later.remove(entry)
                self.replicas[self.replica[entry[1]]].queue.append(self.jobs[entry[1]])
            while self._next_arrival() == [now]:
                self.arrive(now)
            for g, replica in enumerate(self.replicas):
                if replica.ends_s is None and (replica.queue or replica.running):
                    self.start_step(g, replica, now)
        return self.answer()

    def _next_arrival(self) -> list[float]:
        return self.arrivals[:1] if self.coming else []

    def arrive(self, now: float) -> None:
        """Route the next job, encode in the pool if there is one, and make it wait if it must."""
        job, _ = self.coming.pop(0), self.arrivals.pop(0)
        loads = [sum(j.prompt + j.output for j in r.unfinished) for r in self.replicas]
        g = loads.index(min(loads)) if self.c.router == "least_loaded" else job.number % self.c.replicas
        if self.c.router == "packed":
            g = self.packed(loads, job.prompt + job.output, now)
        self.replicas[g].unfinished.append(job)
        self.start_s[job.number], self.replica[job.number] = now, g
        ready = now
        if self.pool_s and job.images:
            server = self.pool_s.index(min(self.pool_s))
            begin = max(now, self.pool_s[server])
            self.encoder_gaps.append((server, self.pool_s[server], begin))
            ready = self.pool_s[server] = begin + self.encode(job, job.images)
        ready += job.delay_s
        if ready > now:
            self.later.append((ready, job.number))
        else:
            self.replicas[g].queue.append(job)

    def since_s(self, replica: Replica) -> float:
        """Since when an idle replica is awake and idle."""
        return max(replica.free_since_s, replica.awake_s)

    def packed(self, loads: list[int], need: int, now: float) -> int:
        """The first replica awake with room, or the least loaded awake while one that sleeps wakes."""
        waking = [r.awake_s > now for r in self.replicas]
        asleep = [
            g > 0 and not load and not w and now - self.since_s(r) > self.c.sleep_timeout_s
            for g, (r, load, w) in enumerate(zip(self.replicas, loads, waking, strict=True))
        ]
        awake = [g for g in range(len(loads)) if not waking[g] and not asleep[g]]
        roomy = [g for g in awake if loads[g] == 0 or loads[g] + need <= self.c.pack_tokens]
        if roomy:
            return roomy[0]
        if any(asleep) and not any(waking):
            sleeper = self.replicas[asleep.index(True)]
            self.sum["asleep_s"] += now - self.since_s(sleeper) - self.c.sleep_timeout_s
            self.sum["waking_s"] += self.c.cold_start_s
            self.sum["cold_starts"] += 1
            sleeper.awake_s = now + self.c.cold_start_s
        return min(awake, key=lambda g: loads[g])

    def encode(self, job: Job, images: int) -> float:
        """Encoder time of a job's next images, once for all."""
        most = int(self.t.encoder_images[-1])
        runs = [most] * (images // most) + ([images % most] if images % most else [])
        rows, columns = self.t.encoder_tokens.tolist(), self.t.encoder_images.tolist()
        took = sum(plane(rows, columns, self.t.encoder_s.tolist(), job.image_size, n) for n in runs)
        self.sum["encoder_s"] += took
        self.sum["encoded_images"] += images
        job.begins = job.begins[images:]
        return took

    def look(self, job: Job, chunk: int, seen: float) -> tuple[int, int]:
        """How many images to encode before a chunk of a job's prompt, and how long the chunk may then be.

        One image after the other, as long as visual tokens are left for it; the first of a step always; those that begin at one
        token together, if else no token could be computed.
        """
        images = 0
        while images < len(job.begins) and job.begins[images] < job.computed + chunk:
            fits = seen + (images + 1) * job.image_size <= self.c.encoder_budget
            stuck = seen == 0 and (images == 0 or job.begins[images] <= job.computed)
            if not fits and not stuck:
                return images, max(job.begins[images] - job.computed, 0)
            images += 1
        return images, chunk

    def head_may_start(self, replica: Replica) -> bool:
        """Whether the head of the queue, if there is one, fits beside those that run."""
        if not replica.queue or len(replica.running) >= self.c.max_sequences:
            return False
        job = replica.queue[0]
        if self.c.kv_policy == "reserve":
            return sum(j.prompt + j.output for j in [*replica.running, job]) <= self.c.kv_capacity_tokens
        return replica.keys + job.target <= self.c.kv_capacity_tokens

    def make_room(self, replica: Replica) -> bool:
        """Evict the last in until every decoding job can have one more token; whether any had to go."""
        evicted = False
        while replica.keys + sum(j.decoding for j in replica.running) > self.c.kv_capacity_tokens:
            job = replica.running.pop()
            job.keys = job.computed = 0
            job.decoding = False
            replica.queue.insert(0, job)
            self.sum["preemptions"] += 1
            evicted = True
        return evicted

    def start_step(self, g: int, replica: Replica, now: float) -> None:
        """Choose what goes into the next step, and how long it takes."""
        self.gaps.append((g, replica.free_since_s, now))
        first = self.c.policy == "prefill_first"
        if first and (replica.open_prompts or self.head_may_start(replica)):
            decoders, admit = [], True
        else:
            admit = not self.make_room(replica) and not first
            decoders = [j for j in replica.running if j.decoding]
        for job in decoders:
            job.keys += 1
        chunks, image_s = self.fill(replica, self.c.token_budget - len(decoders), admit=admit)
        replica.emitting = decoders + [j for j in replica.open_prompts if j.computed == j.target]
        step_s = image_s + self.step(decoders, chunks, len(replica.emitting))
        self.sum["prefill_s"] += step_s if chunks else 0.0
        self.sum["kv_token_s"] += replica.keys * step_s
        replica.peak = max(replica.peak, replica.keys)
        replica.ends_s = now + step_s

    def fill(self, replica: Replica, left: int, *, admit: bool) -> tuple[list[tuple[int, int]], float]:
        """Chunks (tokens, tokens before them) up to ``left`` tokens: the open prompt first, then the queue; and encoder time."""
        chunks, image_s, seen, stopped, open_prompts = [], 0.0, 0.0, False, replica.open_prompts
        while left > 0 and not stopped and (open_prompts or (admit and self.head_may_start(replica))):
            if open_prompts:
                job = open_prompts.pop()
            else:
                job = replica.queue.pop(0)
                replica.running.append(job)
                job.keys, job.computed = job.target, job.cached
            chunk = min(job.target - job.computed, left)
            images, upto = self.look(job, chunk, seen)
            if images:
                image_s += self.encode(job, images) + self.c.host_visual_token_s * images * job.image_size
                self.sum["host_s"] += self.c.host_visual_token_s * images * job.image_size
                seen += images * job.image_size
            stopped, chunk = upto < chunk, upto
            if not chunk:
                break
            chunks.append((chunk, job.computed))
            job.computed += chunk
            left -= chunk
        return chunks, image_s

    def step(self, decoders: list[Job], chunks: list[tuple[int, int]], emitting: int) -> float:
        """Time of the language model and the host, added to the sums."""
        t, b = self.t, len(decoders)
        n = b + sum(c for c, _ in chunks)
        linear = [line(t.token_n.tolist(), row.tolist(), n) for row in t.linear_s]
        gemm = [line(t.token_n.tolist(), row.tolist(), n) for row in t.linear_gemm_s]
        rows, columns, table = t.prefill_chunk.tolist(), t.prefill_prefix.tolist(), t.prefill_attention_s.tolist()
        keys = sum(j.keys for j in decoders)
        parts = {
            "prefill_attention_s": sum(plane(rows, columns, table, c, p) for c, p in chunks),
            "decode_attention_s": plane(t.decode_batch.tolist(), t.decode_kv.tolist(), t.decode_attention_s.tolist(), b, keys / b)
            if b
            else 0.0,
            "logits_s": line(t.logits_n.tolist(), t.logits_s.tolist(), emitting) if emitting else 0.0,
            "host_s": self.c.host_step_s + self.c.host_sequence_s * (b + len(chunks)),
        }
        self.sum.update(parts)
        self.sum.update(
            linear_0=linear[0], linear_1=linear[1], linear_2=linear[2], gemm_0=gemm[0], gemm_1=gemm[1], gemm_2=gemm[2]
        )
        self.sum.update(steps=1, decode_steps=int(b > 0), decode_sequence_steps=b, sequence_steps=b + len(chunks))
        self.sum.update(prefill_tokens=n - b, prefill_prefix_tokens=sum(p for _, p in chunks), decode_kv_token_steps=keys)
        self.sum["peak_batch"] = max(self.sum["peak_batch"], b + len(chunks))
        return sum(parts.values()) + sum(linear)

    def end_step(self, replica: Replica, now: float) -> None:
        """Hand out the tokens of the step that ends."""
        replica.ends_s, replica.free_since_s = None, now
        for job in replica.emitting:
            job.emitted += 1
            job.decoding = True
            self.first_token_s.setdefault(job.number, now)
            if job.emitted == job.output:
                replica.running.remove(job)
                replica.unfinished.remove(job)
                self.finish_s[job.number] = now
                if self.c.clients:
                    self.arrivals = sorted([*self.arrivals, now])

    def answer(self) -> dict[str, Any]:
        """The sums under the names of ``Result``."""
        span_s, s = max(self.finish_s.values()), self.sum
        for g, replica in enumerate(self.replicas):
            if g > 0 and self.c.router == "packed":
                s["asleep_s"] += max(span_s - self.since_s(replica) - self.c.sleep_timeout_s, 0.0)
                s["waking_s"] -= max(replica.awake_s - span_s, 0.0)
            self.gaps.append((g, replica.free_since_s, span_s))
        self.encoder_gaps += [(server, free_s, span_s) for server, free_s in enumerate(self.pool_s)]
        gaps = [gap for g in range(len(self.replicas)) for gap in self.gaps if gap[0] == g and gap[2] > gap[1]]
        encoder = [gap for g in range(len(self.pool_s)) for gap in self.encoder_gaps if gap[0] == g and gap[2] > gap[1]]
        numbers = (
            "prefill_attention_s",
            "decode_attention_s",
            "logits_s",
            "host_s",
            "encoder_s",
            "prefill_s",
            "kv_token_s",
            "steps",
        )
        numbers += ("decode_steps", "decode_sequence_steps", "sequence_steps", "prefill_tokens", "prefill_prefix_tokens")
        numbers += ("asleep_s", "waking_s", "cold_starts")
        numbers += ("decode_kv_token_steps", "peak_batch", "preemptions", "encoded_images")
        ordered = range(len(self.jobs))
        return {name: s[name] for name in numbers} | {
            "attention_s": s["linear_0"] + s["prefill_attention_s"] + s["decode_attention_s"],
            "ffn_s": s["linear_1"],
            "other_s": s["linear_2"] + s["logits_s"],
            "gemm_s": [s["gemm_0"], s["gemm_1"], s["gemm_2"]],
            "span_s": span_s,
            "idle_s": sum(end - begin for _, begin, end in gaps),
            "encoder_idle_s": sum(end - begin for _, begin, end in encoder) if self.pool_s else 0.0,
            "idle_gap_s": [end - begin for _, begin, end in gaps],
            "idle_gap_start_s": [begin for _, begin, _ in gaps],
            "idle_gap_replica": [g for g, _, _ in gaps],
            "encoder_gap_s": [end - begin for _, begin, end in encoder],
            "encoder_gap_start_s": [begin for _, begin, _ in encoder],
            "kv_peak_tokens": [r.peak for r in self.replicas],
            "start_s": [self.start_s[i] for i in ordered],
            "first_token_s": [self.first_token_s[i] for i in ordered],
            "finish_s": [self.finish_s[i] for i in ordered],
            "replica": [self.replica[i] for i in ordered],
        }
