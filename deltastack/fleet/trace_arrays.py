"""A workload table as the simulator's arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.fleet.simulator import Requests

if TYPE_CHECKING:
    import pandas as pd


def requests(workload: pd.DataFrame) -> Requests:
    """The rows of a workload (contract WORKLOAD); prefixes that an earlier request brought may be cached (``prefix_cache``).

    Where the workload does not know its prefixes, none is cached.
    """
    prompt = workload["prompt_tokens"].to_numpy(np.int64)
    prefix = workload["prefix_tokens"].fillna(0).to_numpy(np.int64)
    return Requests(
        arrival_s=workload["arrival_s"].to_numpy(np.float64),
        images=workload["images"].to_numpy(np.int64),
        image_tokens=workload["image_tokens"].to_numpy(np.int64),
        prompt_tokens=prompt,
        output_tokens=workload["output_tokens"].to_numpy(np.int64),
        cached_tokens=np.minimum(prefix, prompt),
        cached_images=np.zeros(prompt.size, np.int64),
        delay_s=np.zeros(prompt.size),
        told_tokens=np.minimum(prefix, prompt),
        reuse_tokens=workload["reuse_tokens"].fillna(0).to_numpy(np.int64),
        reuse_requests=workload["reuse_requests"].fillna(0).to_numpy(np.int64),
    )
