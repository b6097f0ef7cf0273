"""One session: images encoded, keys and values restored, prompts prefilled, answers decoded; seconds by phase.

A phase ends with a wait for the device, so that its seconds are its own. The decode step is a CUDA graph, captured once a cell
outside of any metered window.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import torch

from deltastack.accelerator.decoder import Decoder, Rows, State, random
from deltastack.accelerator.device import quiet
from deltastack.accelerator.encoder import Encoder
from deltastack.accelerator.settings import Switched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from deltastack.accelerator.device import Device
    from deltastack.accelerator.settings import Load
    from deltastack.accelerator.shapes import Shape

IMAGE, TEXT = 0, 1
PHASES = ("restore", "encode", "prefill", "decode")


@dataclass(slots=True)
class Served:
    """What a session took and gave."""

    seconds: dict[str, float]
    """By phase."""
    tokens: Tensor
    """The last token of every request, (requests,), on the processor."""
    first: Tensor
    """The first token of every request that was prefilled, (requests,); -1 where keys and values were restored."""

    @property
    def total_s(self) -> float:
        """Seconds of all phases."""
        return sum(self.seconds.values())


@dataclass(slots=True)
class Server:
    """A model with its prompts, images and what is kept from before."""

    shape: Shape
    load: Load
    device: Device
    seed: int = 0
    decoder: Decoder = field(init=False)
    encoder: Encoder = field(init=False)
    _prompts: list[Tensor] = field(init=False)
    _images: Tensor = field(init=False)
    _kept: Tensor = field(init=False)
    """Embeddings of all images, as an earlier session made them."""
    _store: list[Tensor] = field(init=False)
    """Keys and values of the first half of each group, pinned on the host."""
    _stored_last: Tensor = field(init=False)
    """Their first tokens."""
    _last: Tensor = field(init=False)
    """The token of every request that the next decode step begins with."""
    _steps: dict[Switched, Callable[[], None]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Make weights, prompts and images; run once, so that the store holds true keys and values."""
        torch.manual_seed(self.seed)
        lengths, counts = self._lengths, self._counts
        contexts = [n + self.load.output_tokens // 2 for n in lengths]
        with quiet():
            self.decoder = Decoder(self.shape, self.device, tuple(zip(counts, contexts, strict=True)))
            self.encoder = Encoder(self.shape, self.device)
            words = [
                torch.randint(self.shape.vocabulary, (c, n), device=self.device.name)
                for c, n in zip(counts, lengths, strict=True)
            ]
            self._prompts = [self.decoder.embed(w) for w in words]
            v = self.shape.vision
            self._images = random(self.device, counts[IMAGE], v.merge * self.load.image_tokens, v.patch_byte)
            self._last = torch.zeros(self.load.requests, dtype=torch.long, device=self.device.name)
            self._kept = self.encoder(self._images)
            self._fill_store()

    @property
    def _counts(self) -> tuple[int, int]:
        return self.load.with_image, self.load.requests - self.load.with_image

    @property
    def _lengths(self) -> tuple[int, int]:
        return self.load.image_tokens + self.load.text_tokens, self.load.text_tokens

    def run(self, on: Switched) -> Served:
        """Serve one session with ``on``; ``prepare`` has been called for it."""
        seconds: dict[str, float] = {}
        with quiet():
            firsts = torch.full((self.load.requests,), -1, dtype=torch.long, device=self.device.name)
            with self._timed("restore", seconds):
                if on.restored:
                    self._restore()
            with self._timed("encode", seconds):
                seen = self._encode(on)
            with self._timed("prefill", seconds):
                self._prefill(on, seen, firsts)
            with self._timed("decode", seconds):
                step = self._steps[on]
                for _ in range(self.load.output_tokens):
                    step()
        return Served(seconds=seconds, tokens=self._last.cpu().clone(), first=firsts.cpu())

    def prepare(self, on: Switched) -> None:
        """Make the forms that ``on`` needs, and capture its decode step; the next metered session pays for neither."""
        if on in self._steps:
            return
        with quiet():
            self.decoder.prepare(on.arithmetic)
            self._prefill(on, self._encode(on), torch.empty(self.load.requests, dtype=torch.long, device=self.device.name))
            self._steps[on] = self.device.captured(lambda: self._decode(on))

    def release(self) -> None:
        """Forget captured steps and forms: memory for other cells."""
        self._steps.clear()
        self.decoder.release()

    def _timed(self, name: str, seconds: dict[str, float]) -> _Timed:
        return _Timed(self.device, name, seconds)

    def _restore(self) -> None:
        for group, (cache, stored) in enumerate(zip(self.decoder.caches, self._store, strict=True)):
            mine = slice(self._at(group), self._at(group) + stored.shape[2])
            self._last[mine] = self._stored_last[mine]
            cache[:, :, : stored.shape[2], : stored.shape[3]].copy_(stored, non_blocking=True)

    def _fill_store(self) -> None:
        self._prefill(Switched(), self._kept, torch.empty(self.load.requests, dtype=torch.long, device=self.device.name))
        self._store = []
        for cache, n in zip(self.decoder.caches, self._lengths, strict=True):
            half = cache[:, :, : cache.shape[2] // 2, :n].cpu()
            self._store.append(half.pin_memory() if self.device.cuda else half.clone())
        self._stored_last = self._last.clone()

    def _encode(self, on: Switched) -> Tensor:
        """Visual tokens of the image requests that are prefilled; text requests run a blank image unless skipped."""
        first = self._counts[IMAGE] // 2 if on.restored else 0
        wanted = self._images[first:]
        kept = len(wanted) // 2 if on.kept_images else 0
        fresh = self.encoder(wanted[kept:])
        if not on.skip:
            blank = self._counts[TEXT] - (self._counts[TEXT] // 2 if on.restored else 0)
            for n in batches(blank, max(len(wanted), 1)):
                self.encoder(self._images[:n])
        return torch.cat((self._kept[first : first + kept], fresh)) if kept else fresh

    def _prefill(self, on: Switched, seen: Tensor, firsts: Tensor) -> None:
        """Prompts whose keys and values are not restored, group by group, in micro-batches."""
        for group, (count, tokens) in enumerate(zip(self._counts, self._lengths, strict=True)):
            skipped = count // 2 if on.restored else 0
            states = [self._prompt(group, skipped + a, n, tokens, seen[a : a + n]) for a, n in parts(count - skipped, on.batches)]
            for state in self.decoder.run(states, on):
                (rows,) = state.rows
                last = (state.x + state.residual).view(rows.number, tokens, -1)[:, -1]
                at = self._at(group) + rows.first
                firsts[at : at + rows.number] = self._last[at : at + rows.number] = self.decoder.answer(last)

    def _prompt(self, group: int, first: int, count: int, tokens: int, seen: Tensor) -> State:
        x = self._prompts[group][first : first + count].clone()
        if group == IMAGE:
            x[:, : self.load.image_tokens] = seen
        x = x.reshape(count * tokens, -1)
        return State(x=x, residual=torch.zeros_like(x), rows=(Rows(group, first, count, tokens),), decoding=False)

    def _decode(self, on: Switched) -> list[object]:
        """One token of every request; each micro-batch has its share of both groups. What it returns must stay alive."""
        splits = [parts(c, on.batches) for c in self._counts]
        places = [[(group, *split[m]) for group, split in enumerate(splits) if split[m][1]] for m in range(on.batches)]
        index = [torch.cat([self._last[self._at(g) + a : self._at(g) + a + n] for g, a, n in p]) for p in places]
        states = []
        for p, tokens in zip(places, index, strict=True):
            x = self.decoder.embed(tokens)
            states.append(State(x=x, residual=torch.zeros_like(x), rows=tuple(Rows(g, a, n, 1) for g, a, n in p), decoding=True))
        found = self.decoder.run(states, on)
        for state in found:
            answers, at = self.decoder.answer(state.x + state.residual), 0
            for rows in state.rows:
                place = self._at(rows.group) + rows.first
                self._last[place : place + rows.number] = answers[at : at + rows.number]
                at += rows.number
        return [index, states, found]

    def _at(self, group: int) -> int:
        return 0 if group == IMAGE else self._counts[IMAGE]


@dataclass(slots=True)
class _Timed:
    """Seconds between two waits for the device."""

    device: Device
    name: str
    seconds: dict[str, float]
    _began: float = 0.0

    def __enter__(self) -> None:
        self.device.synchronise()
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.device.synchronise()
        self.seconds[self.name] = time.perf_counter() - self._began


def parts(count: int, number: int) -> list[tuple[int, int]]:
    """First and length of each of ``number`` parts of ``count``, as equal as can be.

    >>> parts(5, 2), parts(1, 2)
    ([(0, 2), (2, 3)], [(0, 0), (0, 1)])
    """
    edges = [count * i // number for i in range(number + 1)]
    return [(a, b - a) for a, b in pairwise(edges)]


def batches(count: int, most: int) -> Iterator[int]:
    """``count`` in batches of at most ``most``.

    >>> list(batches(5, 2))
    [2, 2, 1]
    """
    for first in range(0, count, most):
        yield min(most, count - first)
