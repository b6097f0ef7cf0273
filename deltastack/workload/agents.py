"""Agents: sessions whose every turn sends the whole conversation again, written down as a Mooncake trace would be.

A session starts at a Poisson instant and takes geometric many turns. Turn k sends the system prompt of its tenant, shared by
all of its sessions, and all that was said before: prompt = system + first + (k - 1) step tokens; between turns a tool runs for an
exponential time. Block hashes are those of the conversation: the leading blocks of turn k + 1 are the whole blocks of turn k.

Source: this project. Shape after the Mooncake tool-and-agent trace (Qin et al., FAST 2025); the numbers are a scene's.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from deltastack.model import Params
from deltastack.workload.prefixes import BLOCK_TOKENS, Blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LEAST_OUTPUT_TOKENS = 8


class Sessions(Params):
    """What agents do."""

    sessions: int = Field(ge=1, le=1_000_000)
    hours: float = Field(gt=0, le=100_000)
    turns: float = Field(ge=1, le=10_000, description="mean")
    tenants: int = Field(default=1, ge=1, le=1_000_000, description="each with a system prompt of its own")
    system_tokens: int = Field(ge=0, le=10_000_000)
    first_tokens: int = Field(ge=1, le=10_000_000)
    step_tokens: int = Field(ge=1, le=1_000_000, description="that a turn adds: the answer before, and what the tool said")
    output_tokens: float = Field(ge=LEAST_OUTPUT_TOKENS, le=1_000_000, description="mean")
    tool_s: float = Field(gt=0, le=1e6, description="mean time between turns")
    seed: int = Field(default=1, ge=0)


def rows(s: Sessions) -> list[Blocks]:
    """The requests of all sessions in order of arrival; the same values give the same requests."""
    rng = np.random.default_rng(s.seed)
    start_s = np.sort(rng.random(s.sessions)) * s.hours * 3600.0
    turns = rng.geometric(1.0 / s.turns, s.sessions)
    found = [row for i in range(s.sessions) for row in _session(s, rng, i, float(start_s[i]), int(turns[i]))]
    return sorted(found, key=lambda row: row.time_s)


def lines(found: Iterable[Blocks]) -> Iterator[str]:
    """The requests as a Mooncake trace has them, one JSON object a line."""
    for row in found:
        entry = {"timestamp": round(row.time_s * 1e3), "input_length": row.prompt_tokens, "output_length": row.output_tokens}
        yield json.dumps(entry | {"hash_ids": list(row.hashes)})


def _session(s: Sessions, rng: np.random.Generator, number: int, start_s: float, turns: int) -> Iterator[Blocks]:
    """One conversation; its hashes are the tenant's for the system prompt, then its own."""
    shared = s.system_tokens // BLOCK_TOKENS
    tenant = number % s.tenants
    longest = -(-(s.system_tokens + s.first_tokens + turns * s.step_tokens) // BLOCK_TOKENS)
    system = tuple(range(tenant * shared, (tenant + 1) * shared))
    own = s.tenants * shared + number * 100_000
    hashes = (*system, *range(own, own + longest - shared))
    time_s = start_s
    for turn in range(turns):
        prompt = s.system_tokens + s.first_tokens + turn * s.step_tokens
        output = LEAST_OUTPUT_TOKENS + int(rng.exponential(s.output_tokens - LEAST_OUTPUT_TOKENS))
        yield Blocks(time_s, prompt, output, hashes[: prompt // BLOCK_TOKENS])
        time_s += float(rng.exponential(s.tool_s))
