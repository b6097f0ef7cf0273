"""What runs beside what: micro-batches through the steps of the decoder, each step in a lane.

On a GPU a lane is a stream. Steps wait for each other by events and all lanes join at the end, so that one graph can hold the
whole. On a processor the same steps run in the same order, one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

S = TypeVar("S")


@dataclass(slots=True)
class Lanes:
    """Streams of a GPU; none on a processor."""

    cuda: bool
    most: int = 4
    _streams: list[Any] = field(default_factory=list)

    def run(self, states: Sequence[S], steps: int, lane: Callable[[int], int], do: Callable[[int, S], S]) -> list[S]:
        """Bring every state (one a micro-batch) through all steps.

        Args:
            states: What each micro-batch carries from step to step.
            steps: How many steps there are.
            lane: The lane of a step.
            do: One step of one micro-batch: the next state.
        """
        if not self.cuda or max(lane(i) for i in range(steps)) == 0:
            found = list(states)
            for m, i in ((m, i) for m in range(len(found)) for i in range(steps)):
                found[m] = do(i, found[m])
            return found
        return self._beside(list(states), steps, lane, do)

    def _beside(self, found: list[S], steps: int, lane: Callable[[int], int], do: Callable[[int, S], S]) -> list[S]:
        """The same in streams; states stay alive until the join, since another stream may still read them."""
        cuda: Any = torch.cuda  # its streams and events have no types
        while len(self._streams) < self.most:
            self._streams.append(cuda.Stream())
        main, begun = cuda.current_stream(), cuda.Event()
        begun.record(main)
        for stream in self._streams:
            stream.wait_event(begun)
        done: list[Any] = [None] * len(found)
        held: list[object] = []
        for m, i in wavefront(len(found), steps):
            stream = self._streams[lane(i)]
            with cuda.stream(stream):
                if done[m] is not None:
                    stream.wait_event(done[m])
                held.append(found[m])
                found[m] = do(i, found[m])
                done[m] = cuda.Event()
                done[m].record(stream)
        for stream in self._streams:
            ended = cuda.Event()
            ended.record(stream)
            main.wait_event(ended)
        return found


def wavefront(batches: int, steps: int) -> Iterator[tuple[int, int]]:
    """Micro-batch and step in the order of issue: micro-batch m is one step behind micro-batch m - 1.

    >>> list(wavefront(2, 3))
    [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (1, 2)]
    """
    for front in range(steps + batches - 1):
        for m in range(batches):
            if 0 <= front - m < steps:
                yield m, front - m
