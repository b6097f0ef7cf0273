"""What an answer says as it streams: text, chosen tokens with their log probabilities, and the server's own numbers.

Three kinds of events are read: those of OpenAI's completions and chat, and those of llama.cpp's own completion.
"""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import httpx

SHOWN = 160
"""Characters of a server's message that a record keeps."""
_COUNTS = ("tokens_predicted", "tokens_evaluated")


class Answer:
    """What an event stream has said so far."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.parts: list[str] = []
        self.tokens: list[str] = []
        self.logprobs: list[float] = []
        self.reported: dict[str, float] = {}
        self.first_s: float | None = None
        self.last_s: float | None = None
        self.error: str | None = None

    async def read(self, response: httpx.Response, began_s: float) -> None:
        """Take in every event; ``began_s`` is when the request was sent.

        Raises:
            ValueError: An event that is no JSON.
        """
        ended = False
        async for line in response.aiter_lines():
            if not line.startswith("data:"):
                continue
            data = line.removeprefix("data:").strip()
            if data == "[DONE]":
                ended = True
                continue
            event = json.loads(data)
            ended = bool(event.get("stop")) or ended
            self._take(event, time.perf_counter() - began_s)
        if not ended and self.error is None:
            self.error = "the answer was cut off"

    def _take(self, event: dict[str, Any], now_s: float) -> None:
        if "error" in event:
            self.error = str(event["error"])[:SHOWN]
        for group in ("usage", "timings"):
            self.reported |= dict(_numbers(event.get(group) or {}, group))
        self.reported |= {
            k: float(event[k]) for k in ("tokens_predicted", "tokens_evaluated") if event.get("stop") and k in event
        }
        choice = next(iter(event.get("choices") or ()), event)
        text = choice.get("text") or (choice.get("delta") or {}).get("content") or choice.get("content") or ""
        self._take_logprobs(choice)
        if text:
            self.parts.append(text)
            self.first_s = now_s if self.first_s is None else self.first_s
            self.last_s = now_s

    def _take_logprobs(self, choice: dict[str, Any]) -> None:
        told = choice.get("logprobs") or {}
        if "token_logprobs" in told:
            self._add(zip(told.get("tokens") or (), told["token_logprobs"], strict=False))
        for one in (*(told.get("content") or ()), *(choice.get("completion_probabilities") or ())):
            self._add([(one.get("token", ""), one.get("logprob"))])

    def _add(self, pairs: Iterable[tuple[str, float | None]]) -> None:
        for token, logprob in pairs:
            if logprob is not None:
                self.tokens.append(token)
                self.logprobs.append(float(logprob))


def _numbers(value: Mapping[str, Any], name: str) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []
    for key, inner in value.items():
        if isinstance(inner, dict):
            found += _numbers(inner, f"{name}.{key}")
        elif isinstance(inner, int | float) and not isinstance(inner, bool) and math.isfinite(inner):
            found.append((f"{name}.{key}", float(inner)))
    return found
