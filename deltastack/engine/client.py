"""A thin client: one record a request, in a closed loop or at a trace's arrivals; it reads the answer as it streams.

A failed request is a record too, with its reason; nothing is tried again. One connection a request: some servers close
connections that were kept alive while the next request is under way.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import httpx

from deltastack.engine.answer import SHOWN, Answer
from deltastack.engine.calls import certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from deltastack.engine.asking import Request


class Outcome(StrEnum):
    """How a request ended."""

    OK = "ok"
    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    """The server answered 429."""
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One request as the client saw it; times in seconds."""

    number: int
    outcome: Outcome
    sent_s: float
    """After the start of the load."""
    queue_s: float
    """From when it was due until it was sent: the client's own queue."""
    first_s: float | None
    """From sent until the first token."""
    last_s: float | None
    """From sent until the last token."""
    text: str = ""
    tokens: tuple[str, ...] = ()
    logprobs: tuple[float, ...] = ()
    """Of the chosen tokens, where the body asked for them."""
    reported: Mapping[str, float] = field(default_factory=dict)
    """Numbers of the answer's ``usage`` and ``timings``, by dotted name."""
    error: str | None = None

    @property
    def output_tokens(self) -> float | None:
        """Tokens of the answer, as the server counts them."""
        return _first(self.reported, "timings.predicted_n", "usage.completion_tokens", "tokens_predicted")

    @property
    def prompt_tokens(self) -> float | None:
        """Tokens of the prompt, cached ones among them."""
        cached, computed = self.reported.get("timings.cache_n"), self.reported.get("timings.prompt_n")
        if cached is not None and computed is not None:
            return cached + computed
        return _first(self.reported, "usage.prompt_tokens", "tokens_evaluated")

    @property
    def cached_tokens(self) -> float | None:
        """Prompt tokens that were not computed again; None where the server does not say."""
        return _first(self.reported, "timings.cache_n", "usage.prompt_tokens_details.cached_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server and how it is asked."""

    address: str
    concurrency: int
    """Requests under way at once."""
    timeout_s: float
    """Of one request, from sent until its last token."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def drive(target: Target, asked: Sequence[Request], watch: Callable[[], str | None] | None = None) -> tuple[Record, ...]:
    """Ask everything and return one record a request, in the order of ``asked``.

    Args:
        target: Whom to ask.
        asked: Requests; those that are due at a time are sent then, if a place is free.
        watch: Called five times a second; a reason makes every request that is under way end with it.
    """
    return asyncio.run(_drive(target, asked, watch))


async def _drive(target: Target, asked: Sequence[Request], watch: Callable[[], str | None] | None) -> tuple[Record, ...]:
    places = asyncio.Semaphore(target.concurrency)
    began_s = time.perf_counter()
    async with httpx.AsyncClient(
        base_url=target.address,
        headers=dict(target.headers),
        limits=httpx.Limits(max_keepalive_connections=0),
        timeout=httpx.Timeout(target.timeout_s),
        trust_env=False,
        verify=certificates(),
    ) as server:

        async def one(number: int, request: Request) -> Record:
            due_s = request.due_s or 0.0
            await asyncio.sleep(max(0.0, due_s - (time.perf_counter() - began_s)))
            async with places:
                sent_s = time.perf_counter() - began_s
                queue_s = 0.0 if request.due_s is None else sent_s - due_s
                blank = Record(number=number, outcome=Outcome.OK, sent_s=sent_s, queue_s=queue_s, first_s=None, last_s=None)
                return await _ask(server, request, blank, target.timeout_s)

        tasks = [asyncio.create_task(one(n, r)) for n, r in enumerate(asked)]
        return await _gathered(tasks, watch)


async def _gathered(tasks: list[asyncio.Task[Record]], watch: Callable[[], str | None] | None) -> tuple[Record, ...]:
    """All records; requests still under way when ``watch`` gives a reason end with it."""
    left: set[asyncio.Task[Record]] = set(tasks)
    reason: str | None = None
    while left and reason is None:
        _, left = await asyncio.wait(left, timeout=0.2 if watch else None)
        reason = watch() if watch and left else None
    for task in left:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    return tuple(r if isinstance(r, Record) else _cut(n, reason or repr(r)) for n, r in enumerate(done))


async def _ask(server: httpx.AsyncClient, request: Request, blank: Record, timeout_s: float) -> Record:
    answer = Answer()
    outcome, error = Outcome.OK, None
    began_s = time.perf_counter()
    try:
        async with asyncio.timeout(timeout_s), server.stream("POST", request.path, json=_streamed(request)) as response:
            if response.status_code == httpx.codes.OK:
                await answer.read(response, began_s)
                outcome, error = Outcome.ERROR if answer.error else Outcome.OK, answer.error
            else:
                outcome, error = await _refused(response)
    except (TimeoutError, httpx.TimeoutException):
        outcome, error = Outcome.TIMEOUT, f"no whole answer in {timeout_s:g} s"
    except (httpx.HTTPError, ValueError, TypeError, AttributeError, KeyError, OverflowError, RecursionError) as wrong:  # any form
        outcome, error = Outcome.ERROR, f"{type(wrong).__name__}: {wrong}"[:SHOWN]
    return replace(
        blank,
        outcome=outcome,
        error=error,
        first_s=answer.first_s,
        last_s=answer.last_s,
        text="".join(answer.parts),
        tokens=tuple(answer.tokens),
        logprobs=tuple(answer.logprobs),
        reported=answer.reported,
    )


async def _refused(response: httpx.Response) -> tuple[Outcome, str]:
    """How a request ended that was not answered with 200."""
    throttled = response.status_code == httpx.codes.TOO_MANY_REQUESTS
    words = (await response.aread()).decode(errors="replace")
    return Outcome.THROTTLED if throttled else Outcome.ERROR, f"{response.status_code} {words}"[:SHOWN]


def _streamed(request: Request) -> dict[str, Any]:
    body = dict(request.body) | {"stream": True}
    return body if request.path == "/completion" else body | {"stream_options": {"include_usage": True}}


def _first(reported: Mapping[str, float], *names: str) -> float | None:
    return next((reported[n] for n in names if n in reported), None)


def _cut(number: int, reason: str) -> Record:
    return Record(number=number, outcome=Outcome.ERROR, sent_s=0.0, queue_s=0.0, first_s=None, last_s=None, error=reason)
