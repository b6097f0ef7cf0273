"""AIPerf's ``profile_export.jsonl``, one record a request, as one run.

Requests of the profiling phase that ended without an error count. Rates are over the time from the first start to the last end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from deltastack.errors import InputError
from deltastack.importers.formats import AIPERF_TIMES
from deltastack.importers.readings import SECONDS, Json, in_unit, inside, kept, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deltastack.importers.formats import Read

_SHORT = {"time_to_first_token": "ttft"}
_OUTPUT = ("output_sequence_length", "output_token_count")


def is_record(value: Any) -> bool:
    """Whether a JSON value is the record of one request."""
    return isinstance(inside(value, "metadata"), dict) and (
        inside(value, "metadata", "benchmark_phase") is not None or inside(value, "metadata", "credit_phase") is not None
    )


def records(values: Sequence[Json]) -> Read:
    """Amounts and conditions of all requests of one run.

    Raises:
        InputError: No request ended well, or a reading that is no number.
    """
    profiled = [v for v in values if "profiling" in {inside(v, "metadata", p) for p in ("benchmark_phase", "credit_phase")}]
    well = [v for v in profiled if not v.get("error") and not inside(v, "metadata", "was_cancelled")]
    if not well:
        raise InputError(f"AIPerf records without one completed request of {len(profiled)} profiled")
    found: dict[str, float | None] = {q: _mean(well, name) for q, name in AIPERF_TIMES.items()}
    output = [t for v in well if (t := _length(v, *_OUTPUT)) is not None]
    span = _span_s(well)
    if span is not None:
        found["time_per_request_s"] = span / len(well)
        found["time_per_output_token_s"] = span / sum(output) if sum(output) else None
    conditions = {
        "requests": float(len(well)),
        "failed": float(len(profiled) - len(well)),
        "input_tokens": sum(_length(v, "input_sequence_length") or 0.0 for v in well) or None,
        "output_tokens": sum(output) or None,
    }
    return kept(found), conditions


def _mean(values: Sequence[Json], name: str) -> float | None:
    """The mean of a reading over the requests that have it, in seconds."""
    blocks = (inside(v, "metrics", name) or inside(v, "metrics", _SHORT.get(name, name)) for v in values)
    found = [x for b in blocks if (x := in_unit(b, name, SECONDS, at="value")) is not None]
    return float(np.mean(found)) if found else None


def _length(value: Json, *names: str) -> float | None:
    found = (number(inside(value, "metrics", n, "value"), n) for n in names)
    return next((x for x in found if x is not None), None)


def _span_s(values: Sequence[Json]) -> float | None:
    """Seconds from the first start to the last end; None where a record does not say both."""
    starts = [number(inside(v, "metadata", "request_start_ns"), "request_start_ns") for v in values]
    ends = [number(inside(v, "metadata", "request_end_ns"), "request_end_ns") for v in values]
    known_starts, known_ends = [s for s in starts if s is not None], [e for e in ends if e is not None]
    if len(known_starts) < len(values) or len(known_ends) < len(values):
        return None
    span = (max(known_ends) - min(known_starts)) * 1e-9
    return span if span > 0 else None
