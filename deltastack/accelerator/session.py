"""One session: images encoded, keys and values restored, prompts prefilled, answers decoded; seconds by phase.

A phase ends with a wait for the device, so that its seconds are its own. The decode step is a CUDA graph, captured once a cell
outside of any metered window.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch

from deltastack.accelerator.decoder import Decoder, Rows, State, random
from deltastack.accelerator.device import quiet
from deltastack.accelerator.encoder import Encoder
from deltastack.accelerator.settings import Beside, Switched
from deltastack.accelerator.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

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
    folder: Path | None = None
    """For the file tier."""
    decoder: Decoder = field(init=False)
    encoder: Encoder = field(init=False)
    _prompts: list[Tensor] = field(init=False)
    _images: Tensor = field(init=False)
    _kept: Tensor = field(init=False)
    """Embeddings of all images, as an earlier session made them."""
    _store: Store = field(init=False)
    """Keys and values of the first half of each group."""
    _stored_last: Tensor = field(init=False)
    """Their first tokens."""
    _ahead: Tensor = field(init=False)
    """First tokens of the next session, where its prompts are prefilled beside this one's decode steps."""
    _last: Tensor = field(init=False)
    """The token of every request that the next decode step begins with."""
    _steps: dict[Switched, Callable[[], None]] = field(init=False, default_factory=dict)
    """A captured decode step by ``Switched.model``."""

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

    def ready(self, on: Switched) -> None:
        """Bring the encoder to where the cell has it between sessions; outside of any window."""
        (self.encoder.leave if on.given_back else self.encoder.come_back)()
        self.device.synchronise()

    def run(self, on: Switched) -> Served:
        """Serve one session with ``on``; ``prepare`` has been called for it."""
        seconds: dict[str, float] = {}
        if on.from_file:
            self._store.forget_pages()
        with quiet():
            firsts = torch.full((self.load.requests,), -1, dtype=torch.long, device=self.device.name)
            with self._timed("restore", seconds):
                self._restore(on)
            with self._timed("encode", seconds):
                seen = self._kept if on.beside is Beside.ENCODER else self._encode(on)
                if on.given_back:
                    self.device.synchronise()
                    self.encoder.leave()
            with self._timed("prefill", seconds):
                if on.beside is Beside.PREFILL:
                    self._last.copy_(self._ahead)
                    firsts.copy_(self._ahead)
                else:
                    self._prefill(on, seen, firsts)
            with self._timed("decode", seconds):
                self._answer(on, seen)
        return Served(seconds=seconds, tokens=self._last.cpu().clone(), first=firsts.cpu())

    def prepare(self, on: Switched) -> None:
        """Make what ``on`` needs, and capture its decode step; the next metered session pays for neither.

        Raises:
            PreflightError: No partitions of SMs here.
            OSError: No room for the file tier.
            RuntimeError: The device refuses a kernel.
        """
        with quiet():
            if on.from_file:
                self._store.to_files()
            if on.given_back:
                self.encoder.keep()
            if on.beside is Beside.PREFILL:
                self.decoder.with_spare()
            if on.model in self._steps:
                return
            self.decoder.prepare(on)
            if all(_prefills(on) != _prefills(other) for other in self._steps):
                self.warm(on)
            lane = self._lane(on, 0)
            self._steps[on.model] = self.device.captured(lambda: self._decode(on), lane)

    def warm(self, on: Switched) -> None:
        """Run its prefill once: kernels are chosen, memory of its lanes is there."""
        with quiet():
            self._prefill(on, self._kept if on.beside is Beside.ENCODER else self._encode(on), self._nowhere())

    def release(self) -> None:
        """Forget captured steps and forms, and the files."""
        self._steps.clear()
        self.decoder.release()
        self._store.remove()

    def drop(self, on: Switched) -> None:
        """Forget what was made for a cell that failed, where no other cell's step uses it."""
        if all(step.arithmetic is not on.arithmetic for step in self._steps):
            self.decoder.release(on.arithmetic)

    def _timed(self, name: str, seconds: dict[str, float]) -> _Timed:
        return _Timed(self.device, name, seconds)

    def _nowhere(self) -> Tensor:
        return torch.empty(self.load.requests, dtype=torch.long, device=self.device.name)

    def _lane(self, on: Switched, place: int) -> Any:
        """The stream of a lane beside the decode steps; None where everything has the current stream."""
        if not (self.device.cuda and on.beside is not Beside.NOTHING):
            return None
        return self.decoder.lanes.streams(partitioned=on.partitioned)[place]

    def _restore(self, on: Switched) -> None:
        if on.given_back:
            self.encoder.come_back()
        if not on.restored:
            return
        for group in (IMAGE, TEXT):
            mine = slice(self._at(group), self._at(group) + self._counts[group] // 2)
            self._last[mine] = self._stored_last[mine]
        self._store.restore(self.decoder.small if on.kv8 else self.decoder.caches, from_file=on.from_file)

    def _fill_store(self) -> None:
        self._prefill(Switched(), self._kept, self._nowhere())
        halves = [c[:, :, : c.shape[2] // 2, :n] for c, n in zip(self.decoder.caches, self._lengths, strict=True)]
        self._store = Store(self.device, [self.device.pinned(h) for h in halves], self.folder)
        self._stored_last = self._last.clone()
        self._ahead = self._last.clone()

    def _answer(self, on: Switched, seen: Tensor) -> None:
        """All decode steps; the next session's images or prompts are worked on in another lane, if that is switched on."""
        step = self._steps[on.model]
        with self._in_lane(on, 0):
            for _ in range(self.load.output_tokens):
                step()
        if on.beside is Beside.NOTHING:
            return
        with self._in_lane(on, 1):
            if on.beside is Beside.ENCODER:
                self._kept.copy_(self._encode(on))
            else:
                self._prefill(on, seen, self._ahead, spare=True)

    def _in_lane(self, on: Switched, place: int) -> contextlib.AbstractContextManager[Any]:
        """Queue work in a lane; in the current stream where nothing runs beside."""
        lane, cuda = self._lane(on, place), _cuda()
        return contextlib.nullcontext() if lane is None else cuda.stream(lane)

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

    def _prefill(self, on: Switched, seen: Tensor, firsts: Tensor, *, spare: bool = False) -> None:
        """Prompts whose keys and values are not restored, group by group, in micro-batches.

        Into the ``spare`` caches it only writes ``firsts``: decode steps go on beside it.
        """
        for group, (count, tokens) in enumerate(zip(self._counts, self._lengths, strict=True)):
            skipped = count // 2 if on.restored else 0
            states = [
                self._prompt((group, skipped + a, n), tokens, seen[a : a + n], spare=spare)
                for a, n in parts(count - skipped, on.batches)
            ]
            for state in self.decoder.run(states, on):
                (rows,) = state.rows
                last = (state.x + state.residual).view(rows.number, tokens, -1)[:, -1]
                at = self._at(group) + rows.first
                firsts[at : at + rows.number] = found = self.decoder.answer(last)
                if not spare:
                    self._last[at : at + rows.number] = found

    def _prompt(self, place: tuple[int, int, int], tokens: int, seen: Tensor, *, spare: bool) -> State:
        group, first, count = place
        x = self._prompts[group][first : first + count].clone()
        if group == IMAGE:
            x[:, : self.load.image_tokens] = seen
        x = x.reshape(count * tokens, -1)
        rows = (Rows(group, first, count, tokens),)
        return State(x=x, residual=torch.zeros_like(x), rows=rows, decoding=False, spare=spare)

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


def _prefills(on: Switched) -> tuple[object, ...]:
    """What decides which kernels a prefill runs, and where."""
    return on.arithmetic, on.lanes, on.batches, on.partitioned and on.lanes > 1


def _cuda() -> Any:
    """Its streams have no types."""
    return torch.cuda


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
