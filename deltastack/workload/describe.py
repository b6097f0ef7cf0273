"""What a workload is: size, span, rates, shares, quantiles, burstiness. Pure functions of a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

QUANTILES = {"p01": 0.01, "p05": 0.05, "p10": 0.10, "p25": 0.25, "p50": 0.50, "p75": 0.75, "p90": 0.90, "p95": 0.95, "p99": 0.99}
MINUTE_S = 60.0


def describe(frame: pd.DataFrame) -> dict[str, Any]:
    """Plain numbers of a workload frame (contract WORKLOAD), ready for JSON.

    ``requests_per_s`` is null for a single instant. ``dispersion`` is the variance of the counts a minute over their
    mean (1 for Poisson arrivals), null below two minutes; ``prefix_known`` the share of requests with known prefixes.
    """
    arrival_s = frame["arrival_s"].to_numpy(dtype=np.float64)
    images = frame["images"].to_numpy(dtype=np.int64)
    span_s = float(arrival_s[-1] - arrival_s[0])
    prompt = frame["prompt_tokens"].to_numpy(dtype=np.int64)
    visual = frame["image_tokens"].to_numpy(dtype=np.int64)
    return {
        "requests": len(frame),
        "span_s": span_s,
        "requests_per_s": len(frame) / span_s if span_s > 0 else None,
        "text_only_share": float((images == 0).mean()),
        "images_per_s": float(images.sum()) / span_s if span_s > 0 else None,
        "visual_token_share": float(visual.sum() / prompt.sum()),
        "mean_prompt_tokens": float(prompt.mean()),
        "mean_output_tokens": float(frame["output_tokens"].mean()),
        "dispersion": _dispersion(arrival_s),
        "image_dispersion": _dispersion(arrival_s[images > 0]),
        "prefix_known": float(frame["prefix_tokens"].notna().mean()),
        "quantiles": _quantiles(frame, images),
    }


def words(facts: dict[str, Any]) -> str:
    """One sentence on a described workload."""
    text_only = facts["text_only_share"]
    kind = "no request carries an image" if text_only == 1 else f"{1 - text_only:.1%} of requests carry images"
    rate = f", {facts['requests_per_s']:.2f} requests/s" if facts["requests_per_s"] is not None else ""
    hours = facts["span_s"] / 3600
    span = f"{hours:.1f} h" if hours >= 1 else f"{facts['span_s']:.1f} s"
    return f"{facts['requests']:,} requests over {span}{rate}; {kind}"


def _quantiles(frame: pd.DataFrame, images: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    columns = {c: frame[c].to_numpy(dtype=np.float64) for c in ("prompt_tokens", "output_tokens")}
    if (images > 0).any():
        columns["images_per_image_request"] = images[images > 0].astype(np.float64)
        columns["image_tokens_per_image_request"] = frame["image_tokens"].to_numpy(dtype=np.float64)[images > 0]
    at = list(QUANTILES.values())
    return {c: dict(zip(QUANTILES, map(float, np.quantile(v, at)), strict=True)) for c, v in columns.items()}


def _dispersion(arrival_s: NDArray[np.float64]) -> float | None:
    if arrival_s.size == 0 or arrival_s[-1] - arrival_s[0] < 2 * MINUTE_S:
        return None
    counts = np.bincount(((arrival_s - arrival_s[0]) // MINUTE_S).astype(np.int64))[:-1]
    return float(counts.var() / counts.mean()) if counts.size and counts.mean() > 0 else None
