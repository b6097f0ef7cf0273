"""Swings and shares: by hand, and through the bench."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deltastack.evaluation import sensitivity
from deltastack.evaluation.fleet_runner import FleetRunner
from deltastack.layers import layer
from deltastack.model import OperatingPoint, Resource
from tests.fakes import fake_trace

ROOT = Path(__file__).parents[2]


def test_the_design_by_hand() -> None:
    """Two parameters: the centre, low and high of the first, low and high of the second, then 4 trajectories of 3 points."""
    points = sensitivity.design(2)

    assert points[:5].tolist() == [[0.5, 0.5], [0.0, 0.5], [1.0, 0.5], [0.5, 0.0], [0.5, 1.0]]
    assert points.shape == (5 + 4 * 3, 2)
    assert ((points >= 0) & (points <= 1)).all()


def test_shares_by_hand() -> None:
    """Δ = 3 a + b moves three quarters by a and one quarter by b; c moves nothing."""
    points = sensitivity.design(3)[7:]
    found = sensitivity.shares(points, points @ np.array([3.0, 1.0, 0.0]))

    assert found is not None
    assert found == pytest.approx([0.75, 0.25, 0.0], abs=1e-9)


def test_shares_that_nobody_knows() -> None:
    """A point that does not hold, or a Δ that never moves: no shares, instead of zeros."""
    points = sensitivity.design(1)[3:]

    assert sensitivity.shares(points, np.full(len(points), 0.3)) is None
    assert sensitivity.shares(points, np.r_[np.nan, np.ones(len(points) - 1)]) is None


def test_the_window_is_the_middle() -> None:
    """Of ten requests the middle four, from their own first instant on."""
    trace = fake_trace(10, 1.0)
    part = sensitivity.window(trace, 4)

    assert part.prompt_tokens.tolist() == trace.prompt_tokens[3:7].tolist()
    assert part.arrival_s == pytest.approx(trace.arrival_s[3:7] - trace.arrival_s[3])
    assert sensitivity.window(trace, 99).arrival_s.size == 10


def swings(technique: str) -> tuple[dict[str, sensitivity.Swing], set[str]]:
    """A technique of the instruction set on long prompts: the swings of its energy, and the names of its ranges."""
    trace = replace(fake_trace(60, 2.0), prompt_tokens=np.full(60, 8000) + fake_trace(60, 2.0).image_tokens)
    at, which = FleetRunner(root=ROOT, requests=trace, draws=1, canonical=False), layer("instruction_set")
    ranges = sensitivity.ranged(ROOT, "instruction_set", technique)
    base = {
        (OperatingPoint.AT_TRACE, Resource.ENERGY_J): at.usage(0, ())[OperatingPoint.AT_TRACE].total(Resource.ENERGY_J) or 0.0
    }
    return {s.parameter: s for s in sensitivity._of_technique(at, which, technique, ranges, base)}, set(ranges)


def test_the_kernel_decides_what_a_precision_saves() -> None:
    """The tables' fp8 is the low end and the central value, the kernel measured apart saves more."""
    found, ranges = swings("low_precision")

    assert found.keys() == ranges == {"measured_share"}
    assert found["measured_share"].high > found["measured_share"].central == found["measured_share"].low
    assert found["measured_share"].share == pytest.approx(1.0)


def test_no_range_moves_what_softmax_saves() -> None:
    """No time is taken off for exponentials, so nothing swings with how many of them an approximation saves."""
    assert swings("softmax_approx") == ({}, {"saving"})


def test_a_technique_without_ranges_has_no_swings() -> None:
    """Alignment is a choice, not a range."""
    assert sensitivity.ranged(ROOT, "storage", "block_alignment") == {}
