"""Stand-ins for what only a GPU has: streams, events and graphs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


class Fakes:
    """Streams, events and graphs that write down what they are told."""

    def __init__(self) -> None:
        """Nothing has happened."""
        self.now = "main"
        self.waits: dict[str, set[object]] = {}
        self.made = 0
        self.replays = 0

    def Stream(self) -> Any:  # noqa: N802 - torch's name
        """A stream with a name of its own."""
        self.made += 1
        return FakeStream(self, f"lane {self.made}")

    def Event(self) -> Any:  # noqa: N802 - torch's name
        """An event that remembers where it was recorded."""
        return FakeEvent()

    def CUDAGraph(self) -> Any:  # noqa: N802 - torch's name
        """A graph that counts its replays."""
        return self

    def replay(self) -> None:
        """Count."""
        self.replays += 1

    def current_stream(self) -> Any:
        """The stream that is entered."""
        return FakeStream(self, self.now)

    def synchronize(self) -> None:
        """Nothing waits."""

    @contextlib.contextmanager
    def stream(self, other: Any) -> Iterator[None]:
        """Enter a stream."""
        before, self.now = self.now, other.name
        yield
        self.now = before

    @contextlib.contextmanager
    def graph(self, _: object, stream: Any = None) -> Iterator[None]:
        """Capture."""
        before, self.now = self.now, "capture" if stream is None else stream.name
        yield
        self.now = before


class FakeStream:
    """Remembers for what it waits."""

    def __init__(self, fakes: Fakes, name: str) -> None:
        """Take a name."""
        self._fakes, self.name = fakes, name

    def wait_event(self, event: Any) -> None:
        """Wait for a place of another stream."""
        self._fakes.waits.setdefault(self.name, set()).add(event.where)

    def wait_stream(self, other: Any) -> None:
        """Wait for all of another stream."""
        self._fakes.waits.setdefault(self.name, set()).add(other.name)


class FakeEvent:
    """Where it was recorded last."""

    where = "nowhere"

    def record(self, stream: Any = None) -> None:
        """Remember the stream."""
        self.where = "current" if stream is None else stream.name

    def synchronize(self) -> None:
        """Nothing waits."""


@pytest.fixture(name="fakes")
def _fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    """``torch.cuda`` without a GPU."""
    found = Fakes()
    for name in ("Stream", "Event", "CUDAGraph", "current_stream", "synchronize", "stream", "graph"):
        monkeypatch.setattr(torch.cuda, name, getattr(found, name))
    return found
