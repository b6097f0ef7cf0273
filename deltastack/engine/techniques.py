"""What a technique sets in an engine, what must show that it took, and which techniques do not go together."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Literal

from pydantic import Field, field_validator, model_validator

from deltastack.model import Params

OWN_LAYERS = ("speculative", "batching")
"""Layers that only engines have; all others are those of ``deltastack.layers``, which ``tasks.engine`` holds a file to."""


def _regular(value: str | None) -> str | None:
    """Refuse what is no regular expression."""
    try:
        re.compile(value or "")
    except re.error as error:
        raise ValueError(f"'{value}' is no regular expression: {error}") from error
    return value


class Expectation(Params):
    """One resolved value that a source must show after the start; exactly one of the conditions is given."""

    source: str
    key: str = Field("text", description="a name of the source; 'text' for the log")
    equals: str | None = Field(None, description="the value as text; JSON booleans are true and false")
    matches: str | None = Field(None, description="regular expression that is found in the value")
    absent: str | None = Field(None, description="regular expression that must not be found in the value")

    @model_validator(mode="after")
    def _one(self) -> Expectation:
        given = [x for x in (self.equals, self.matches, self.absent) if x is not None]
        if len(given) != 1:
            raise ValueError(f"{self.source}: {self.key}: wanted one of equals, matches, absent; found {len(given)}")
        return self

    _pattern = field_validator("matches", "absent")(_regular)


class Evidence(Params):
    """A counter that shows a technique at work during the load, such as cached tokens or accepted drafts."""

    name: str
    source: str = Field(description="a source of the declaration, or 'requests' for what answers report")
    key: str
    matches: str | None = Field(None, description="regular expression: how many more places match, such as lines of the log")
    at_least: float | None = Field(None, description="below it the technique did nothing: the run is void")
    at_most: float | None = Field(None, description="above it the run is void, e.g. preemptions")

    _pattern = field_validator("matches")(_regular)


class Call(Params):
    """One HTTP call, such as the one that empties a cache between runs."""

    path: str
    method: Literal["POST", "GET"] = "POST"
    may_fail: bool = False


class Settings(Params):
    """What is set for one state, on or off, of a technique."""

    flags: tuple[str, ...] = Field((), description="arguments added to the command")
    environment: dict[str, str] = Field(default_factory=dict)
    request: dict[str, str | int | float | bool] = Field(default_factory=dict, description="fields of every request body")
    values: dict[str, str] = Field(default_factory=dict, description="replaces a word of the command, such as the model")
    files: dict[str, str] = Field(default_factory=dict, description="replaces a local file of the command")
    concurrency: int | None = Field(None, gt=0, description="requests under way at once")
    sleep: tuple[Call, ...] = Field((), description="calls at the start of the idle gap")
    wake: tuple[Call, ...] = Field((), description="calls at its end; their time is part of the gap")
    expect: tuple[Expectation, ...] = Field((), description="what the server must have resolved")


class Technique(Params):
    """One switch of the engine."""

    layer: str
    on: bool = Field(default=True, description="part of the stack")
    mechanism: str = Field(min_length=1, description="what it changes, in one line")
    mechanisms: tuple[str, ...] = Field((), description="of the file's mechanisms, those that it uses")
    on_settings: Settings = Settings()
    off_settings: Settings = Settings()
    evidence: tuple[Evidence, ...] = ()

    @property
    def states(self) -> tuple[Settings, Settings]:
        """Its settings on and off."""
        return self.on_settings, self.off_settings


class ConflictKind(StrEnum):
    """What the engine does where techniques of a conflict are on together."""

    REFUSED = "refused"
    """It does not start: the cell is left out."""
    SILENTLY_OFF = "silently_off"
    """It drops one of them with a log line at most: the cell is left out."""
    NO_EFFECT = "no_effect"
    """It takes the switch and does the same: the cell runs, with this as a note."""


class Conflict(Params):
    """Techniques that do not go together; one alone stands for a switch that this platform does not honour."""

    between: tuple[str, ...] = Field(min_length=1)
    kind: ConflictKind
    why: str
    source: str = Field(min_length=1, description="where the engine says so: file, document, issue or run")


class Absent(Params):
    """Why an engine has no switch for a layer."""

    reason: str = Field(min_length=1)
    source: str = Field(min_length=1)
