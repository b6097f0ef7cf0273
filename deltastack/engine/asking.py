"""What a run asks: requests from a file, from a trace's lengths, or a synthetic mix; the same in every cell of an experiment.

A line of a request file is ``{"path": ..., "body": {...}, "answer": ...}``: any OpenAI-like body, and the right answer where
there is one. Lengths of output are fixed by the bodies' own fields, so that cells are compared at equal work.
"""

from __future__ import annotations

import base64
import io
import json
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from deltastack.errors import ParamsError, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pandas as pd

    from deltastack.engine.declaration import Load

CHAT = "/v1/chat/completions"
_NATIVE = "/completion"
_IMAGE_PX = 56
WORDS = ("river", "stone", "cloud", "paper", "green", "seven", "north", "table", "light", "glass", "metal", "wheat")
"""Of synthetic prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: where it goes, its body, the right answer where there is one, and when it is due."""

    path: str
    body: Mapping[str, Any] = field(repr=False)
    answer: str | None = None
    due_s: float | None = None
    """Seconds after the start of the load; None in a closed loop."""

    @property
    def output_tokens(self) -> int | None:
        """The output length that the body fixes."""
        found = self.body.get("max_completion_tokens", self.body.get("max_tokens", self.body.get("n_predict")))
        return int(found) if isinstance(found, int) else None


class Asked(NamedTuple):
    """What a run asks: first what warms up and is thrown away, then what is measured. No text stands in both."""

    warm: tuple[Request, ...]
    measured: tuple[Request, ...]


def requests(load: Load, root: Path, trace: pd.DataFrame | None = None) -> Asked:
    """The requests of one run: ``load.requests`` that are measured, ``load.warm`` more that warm up.

    Args:
        load: What the declaration says of them.
        root: Where a file of requests is relative to.
        trace: Lengths, images and arrivals of a workload (contract WORKLOAD), asked in their order.

    Raises:
        ParamsError: No such file of requests, or too few in it.
        WorkloadError: A line that is no request.
    """
    count = load.requests + load.warm
    if trace is not None:
        found = _of_trace(load, trace.head(count))
    elif load.file is not None:
        found = _of_file(load, root / load.file)[:count]
    else:
        found = _synthetic(load, count)
    if len(found) < count:
        wanted = f"{load.requests} requests and {load.warm} that warm up"
        raise ParamsError(f"load: wanted {wanted}, found {len(found)}: lower load.requests or load.warm, or give more requests")
    warm = tuple(replace(r, due_s=None) for r in found[load.requests :])
    return Asked(warm, found[: load.requests])


def _synthetic(load: Load, count: int) -> tuple[Request, ...]:
    numbers = random.Random(load.seed)  # noqa: S311 - words of prompts, no secret
    shared = _text(numbers, load.shared_words)
    pictures = round(load.image_share * load.requests)
    found = []
    for n in range(count):
        opening = shared if n < load.requests else _text(numbers, load.shared_words)
        text = f"{opening} {_text(numbers, load.own_words)}".strip()
        found.append(
            _made(load, text, load.output_tokens, images=int(n < pictures or (n >= load.requests and pictures > 0)), number=n)
        )
    return tuple(found)


def with_fields(asked: tuple[Request, ...], fields: Mapping[str, Any]) -> tuple[Request, ...]:
    """The same requests with a cell's own ``fields`` in every body."""
    return tuple(replace(r, body={**r.body, **fields}) for r in asked)


def _of_file(load: Load, path: Path) -> tuple[Request, ...]:
    if not path.is_file():
        raise ParamsError(f"no file of requests {path.name} in {path.parent}: JSON lines of path, body and, if known, answer")
    found = [_line(line, number, path.name) for number, line in enumerate(path.read_text().splitlines(), 1) if line.strip()]
    if not found:
        raise WorkloadError(f"{path.name}: no request in it")
    named = {} if load.model is None else {"model": load.model}
    return with_fields(tuple(found), named)


def _line(line: str, number: int, name: str) -> Request:
    try:
        value = json.loads(line)
        path, body, answer = value["path"], value["body"], value.get("answer")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WorkloadError(f'{name}: line {number} is no request ({error}); wanted {{"path": ..., "body": {{...}}}}') from error
    if not isinstance(path, str) or not isinstance(body, dict) or not isinstance(answer, str | None):
        raise WorkloadError(f"{name}: line {number}: path and answer are text, body is a mapping")
    return Request(path=path, body=body, answer=answer)


def _of_trace(load: Load, rows: pd.DataFrame) -> tuple[Request, ...]:
    """One request a row: words for tokens, a shared opening for prefix tokens, pictures for images, due when it arrived."""
    numbers = random.Random(load.seed)  # noqa: S311 - as above
    prefixes = rows["prefix_tokens"].fillna(0).astype("int64").tolist()
    shared = _text(numbers, max(prefixes, default=0)).split()
    texts = (rows["prompt_tokens"] - rows["image_tokens"]).clip(lower=1).astype("int64").tolist()
    columns = (prefixes, texts, rows["output_tokens"].tolist(), rows["images"].tolist(), rows["arrival_s"].tolist())
    found = []
    for number, (prefix, text, output, images, arrival_s) in enumerate(zip(*columns, strict=True)):
        opening = shared[: min(prefix, text)]
        words = " ".join([*opening, *_text(numbers, text - len(opening)).split()])
        made = _made(load, words, int(output), images=int(images), number=number)
        found.append(replace(made, due_s=float(arrival_s) if load.replay else None))
    return tuple(found)


def _made(load: Load, text: str, output_tokens: int, *, images: int, number: int) -> Request:
    path = CHAT if images else load.path
    body: dict[str, Any] = {"temperature": 0} | ({} if load.model is None else {"model": load.model})
    body["n_predict" if path == _NATIVE else "max_tokens"] = output_tokens
    if path.endswith("chat/completions"):
        pictures = [{"type": "image_url", "image_url": {"url": _picture(load.seed, number, i)}} for i in range(images)]
        content: Any = [*pictures, {"type": "text", "text": text}] if images else text
        body["messages"] = [{"role": "user", "content": content}]
    else:
        body["prompt"] = text
    return Request(path=path, body=body)


def _text(numbers: random.Random, words: int) -> str:
    return " ".join(numbers.choice(WORDS) for _ in range(words))


def _picture(seed: int, number: int, place: int) -> str:
    """A picture of noise as a ``data:`` address, another one for every request."""
    from PIL import Image

    noise = random.Random(f"{seed}/{number}/{place}").randbytes(3 * _IMAGE_PX**2)  # noqa: S311 - pixels
    file = io.BytesIO()
    Image.frombytes("RGB", (_IMAGE_PX, _IMAGE_PX), noise).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
