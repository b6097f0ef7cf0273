"""What runs beside what: micro-batches through the steps of the decoder, each step in a lane.

On a GPU a lane is a stream, plain or of a partition of the SMs. Steps wait for each other by events and all lanes join at the
end, so that one graph can hold the whole. On a processor the same steps run in the same order, one after the other.

A lane takes its work in the order of issue. That order is the one of a machine on which every step takes one tick and a lane
that is free takes the first micro-batch that waits for it (``order``): halves of the decoder then form a pipeline, attention and
feed-forward alternate.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from deltastack.accelerator import partitions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

S = TypeVar("S")


@dataclass(slots=True)
class Lanes:
    """Streams of a GPU; none on a processor."""

    cuda: bool
    most: int = 4
    _plain: list[Any] = field(default_factory=list)
    _parts: list[Any] = field(default_factory=list)

    def streams(self, *, partitioned: bool) -> list[Any]:
        """Plain streams, or two of partitions of the SMs.

        Raises:
            PreflightError: The driver makes no partitions here.
        """
        if partitioned:
            self._parts = self._parts or partitions.streams()
            return self._parts
        cuda: Any = torch.cuda  # its streams have no types
        while len(self._plain) < self.most:
            self._plain.append(cuda.Stream())
        return self._plain

    def run(
        self,
        states: Sequence[S],
        steps: int,
        lane: Callable[[int], int],
        do: Callable[[int, S], S],
        *,
        partitioned: bool = False,
    ) -> list[S]:
        """Bring every state (one a micro-batch) through all steps.

        Args:
            states: What each micro-batch carries from step to step.
            steps: How many steps there are.
            lane: The lane of a step.
            do: One step of one micro-batch: the next state.
            partitioned: Lanes are partitions of the SMs.

        Raises:
            PreflightError: No partitions here.
        """
        if not self.cuda or max(lane(i) for i in range(steps)) == 0:
            found = list(states)
            for m, i in ((m, i) for m in range(len(found)) for i in range(steps)):
                found[m] = do(i, found[m])
            return found
        return self._beside(list(states), [lane(i) for i in range(steps)], do, self.streams(partitioned=partitioned))

    def _beside(self, found: list[S], lanes: Sequence[int], do: Callable[[int, S], S], streams: list[Any]) -> list[S]:
        """The same in streams, forked from the current one and joined to it."""
        cuda: Any = torch.cuda  # its streams and events have no types
        main, begun = cuda.current_stream(), cuda.Event()
        begun.record(main)
        for stream in streams:
            stream.wait_event(begun)
        done: list[Any] = [None] * len(found)
        held = Held(found)
        for m, i in order(len(found), lanes):
            place = lanes[i] % len(streams)
            with cuda.stream(streams[place]):
                if done[m] is not None:
                    streams[place].wait_event(done[m])
                held.reached(m, place)
                found[m] = do(i, found[m])
                held.made(m, place, found[m])
                done[m] = cuda.Event()
                done[m].record(streams[place])
        for stream in streams:
            ended = cuda.Event()
            ended.record(stream)
            main.wait_event(ended)
        return found


class Held:
    """States that another stream may still read.

    Memory of a state goes back to the stream that made it. That stream may write it anew only after the reader is done: when it
    has waited for a later step of the same micro-batch. Until then the state is held.
    """

    def __init__(self, begun: Sequence[object]) -> None:
        """The first states were made by the main stream, which waits at the join: they are held until then."""
        self._first = list(begun)
        self._by: dict[int, list[tuple[int, object]]] = {m: [] for m in range(len(self._first))}

    def reached(self, m: int, place: int) -> None:
        """A lane has waited for micro-batch m's last step: what the lane made for it before, but for the newest, is read."""
        newest = self._by[m][-1:]
        self._by[m] = [x for x in self._by[m][:-1] if x[0] != place] + newest

    def made(self, m: int, place: int, state: object) -> None:
        """Micro-batch m has a new state."""
        self._by[m].append((place, state))

    @property
    def number(self) -> int:
        """How many are held, but for the first."""
        return sum(map(len, self._by.values()))


def order(batches: int, lanes: Sequence[int]) -> list[tuple[int, int]]:
    """Micro-batch and step in the order of issue.

    Two halves of a decoder, then attention and feed-forward:

    >>> order(2, [0, 0, 1, 1])
    [(0, 0), (0, 1), (0, 2), (1, 0), (0, 3), (1, 1), (1, 2), (1, 3)]
    >>> order(2, [0, 1, 0, 1])
    [(0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (0, 3), (1, 2), (1, 3)]
    """
    at, found = [0] * batches, list[tuple[int, int]]()
    while len(found) < batches * len(lanes):
        busy: set[int] = set()
        for m in range(batches):
            if at[m] < len(lanes) and lanes[at[m]] not in busy:
                busy.add(lanes[at[m]])
                found.append((m, at[m]))
                at[m] += 1
    return found
