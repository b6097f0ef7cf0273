"""Components of a session add up to its total, by construction, with and without worker threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.model import Component, Resource
from deltastack.testbed.vlm.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable


def clock(instants: list[float]) -> Callable[[], float]:
    """A clock that reads the next of ``instants`` each time, the last one for ever."""
    left = list(instants)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_self_times_by_hand() -> None:
    """Host 1 s, encoder 2 s, attention inside it 4 s, encoder again 8 s, host 16 s: 17, 10 and 4 s."""
    recorder = Recorder(wall=clock([0, 1, 3, 7, 15, 31]), cpu=clock([0.0]))
    recorder.enter(Component.ENCODER)
    recorder.enter(Component.ATTENTION)
    recorder.leave()
    recorder.leave()

    times = {c: v[Resource.TIME_S] for c, v in recorder.amounts().items()}

    assert times == {Component.HOST: 17, Component.ENCODER: 10, Component.ATTENTION: 4}


@given(st.lists(st.sampled_from([*Component, None]), max_size=40), st.randoms(use_true_random=False))
def test_components_add_up_to_the_total(moves: list[Component | None], chance: object) -> None:
    """Whatever is entered and left, the components' sum is the clock's own difference."""
    now = [0.0]

    def wall() -> float:
        now[0] += chance.random()  # type: ignore[attr-defined]
        return now[0]

    recorder, depth = Recorder(wall=wall, cpu=clock([0.0])), 0
    for move in moves:
        if move is not None:
            recorder.enter(move)
            depth += 1
        elif depth:
            recorder.leave()
            depth -= 1
    amounts = recorder.amounts()
    charged = sum(v[Resource.TIME_S] for v in amounts.values())
    end = now[0]

    assert charged == pytest.approx(end - recorder._began[0], rel=1e-9)


def test_workers_share_the_wall_time_by_hand() -> None:
    """Two workers busy 3 s with FFN and 1 s with attention while 2 s pass: 1.5 s and 0.5 s; processor time is theirs."""
    recorder = Recorder(
        wall=clock([0, 10, 100, 101, 104, 104, 200, 200, 201, 201, 12]), cpu=clock([0, 0, 5]), thread_cpu=clock([0.0])
    )

    def work(component: Component) -> None:
        with recorder.worker(), recorder.within(component):
            pass

    with recorder.gather():
        for component in (Component.FFN, Component.ATTENTION):
            thread = threading.Thread(target=work, args=(component,))
            thread.start()
            thread.join()

    walls = {c: v[Resource.TIME_S] for c, v in recorder.amounts().items()}

    assert walls[Component.FFN] == pytest.approx(3 / 5 * 2)
    assert walls[Component.ATTENTION] == pytest.approx(1 / 5 * 2)
    assert walls[Component.OTHER] == pytest.approx(1 / 5 * 2)
    assert sum(walls.values()) == pytest.approx(12)


def test_a_paused_worker_is_charged_nothing() -> None:
    """A worker that waits for a lock for 50 s is not busy meanwhile."""
    recorder = Recorder(wall=clock([0, 0, 0, 1, 51, 52, 52, 52]), cpu=clock([0.0]), thread_cpu=clock([0.0]))

    with recorder.gather(), recorder.worker(), recorder.paused():
        pass

    assert recorder._main.wall[Component.OTHER] == pytest.approx(52)
