"""What bringing a stage up to date came to, in the words of the flow."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

PROGRESS = "deltastack_progress"
"""Attribute of the log records that say how a stage ended; the command line shows these."""


class Outcome(StrEnum):
    """How a stage came to be up to date."""

    RAN = "ran"
    RESTORED = "restored"
    """DVC brought back what an earlier run with the same inputs wrote."""
    UNCHANGED = "unchanged"


class Done(NamedTuple):
    """One stage that is up to date."""

    stage: str
    outcome: Outcome
    seconds: float = 0.0
    computed_at: str | None = None
    """When its outputs were computed, ISO 8601 in UTC; None if nobody noted it."""
    outs: tuple[tuple[str, str], ...] = ()
    """Path and DVC hash of each output."""


def told(done: Done, now: datetime) -> str:
    """How it went, in words; a restored stage carries the age of what was restored.

    >>> now = datetime.fromisoformat("2026-11-23T09:00:00+00:00")
    >>> told(Done("a", Outcome.RESTORED, 1.25, "2026-11-20T08:00:00+00:00"), now)
    'restored in 1.2 s, computed 3 days ago'
    >>> told(Done("a", Outcome.RAN, 12.0), now), told(Done("a", Outcome.UNCHANGED), now)
    ('ran in 12.0 s', 'unchanged')
    """
    if done.outcome is Outcome.UNCHANGED:
        return done.outcome.value
    words = f"{done.outcome.value} in {done.seconds:.1f} s"
    return f"{words}, computed {age(done, now)}" if done.outcome is Outcome.RESTORED else words


def age(done: Done, now: datetime) -> str:
    """How long ago the outputs were computed, in words; says so if nobody noted it.

    >>> age(Done("a", Outcome.RAN), datetime.fromisoformat("2026-11-23T09:00:00+00:00"))
    'nobody noted when'
    """
    if done.computed_at is None:
        return "nobody noted when"
    seconds = (now - datetime.fromisoformat(done.computed_at)).total_seconds()
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {word}{'s' * (count > 1)} ago"
    return "just now"
