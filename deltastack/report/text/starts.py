"""What a start costs, and after how many requests a layer's own has earned it back, in a line a bench."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def lines(bench: str, told: Mapping[str, Any], layers: Sequence[str]) -> list[str]:
    """One line; empty where starts were not read.

    >>> base = {"start_s": 0.2, "request_s": 0.01, "share": 0.002, "break_even_requests": 0.0}
    >>> idle = {"start_s": 0.3, "request_s": 0.008, "share": 0.004, "break_even_requests": 50.0}
    >>> lines("engine", {"serves": 10000, "cells": {"base": base, "idle": idle}}, ["idle"])[0]
    'a start, engine: 0.200 s of processor time, 0.2 % of what its 10,000 requests take; earned back by idle after 50 requests'
    """
    cells = told.get("cells", {})
    if "base" not in cells:
        return []
    base = cells["base"]
    ends = [f"{x.replace('_', ' ')} {_end(cells[x]['break_even_requests'])}" for x in layers if x in cells]
    earned = f"; earned back by {', '.join(ends)}" if ends else ""
    share = f"{100 * base['share']:.1f} % of what its {told['serves']:,} requests take"
    return [f"a start, {bench}: {base['start_s']:.3f} s of processor time, {share}{earned}"]


def _end(requests: float | None) -> str:
    if requests is None:
        return "never"
    return f"after {requests:,.0f} requests" if requests else "at once"
