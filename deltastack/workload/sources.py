"""Where the requests of a scene come from: the checkout's own workload, a mix with a night, agents, or a trace file.

All of them are deterministic: the same values give the same requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from deltastack.contracts import WORKLOAD
from deltastack.errors import ParamsError
from deltastack.model import Params
from deltastack.workload import block_traces, readers
from deltastack.workload.agents import Sessions, lines, rows
from deltastack.workload.generate import generate
from deltastack.workload.prefixes import Reuse, reuse
from deltastack.workload.raw import to_workload
from deltastack.workload.settings import workload

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.workload.settings import Settings

DAY_H = 24.0


class Served(Params):
    """The workload of params/workload.yaml, its arrivals ``speed`` times as fast: a day in 24 / speed hours."""

    kind: Literal["workload"] = "workload"
    speed: float = Field(default=1.0, gt=0)

    def frame(self, root: Path, settings: Settings) -> pd.DataFrame:
        """The rows that params/workload.yaml chooses, sped up.

        Raises:
            WorkloadError: Its trace is gone, changed, or bad.
        """
        return sped_up(workload(root, settings).frame, self.speed)


class Night(Params):
    """Hours of the day in which only a share of the requests comes."""

    start_h: float = Field(ge=0, lt=DAY_H)
    hours: float = Field(gt=0, lt=DAY_H)
    share: float = Field(gt=0, le=1, description="of the day's rate")


class Mixture(Params):
    """A variant of the mix of params/workload.yaml, with a night."""

    kind: Literal["mix"]
    variant: str
    requests: int = Field(ge=1, description="before the night thins them")
    hours: float = Field(default=DAY_H, gt=0, description="that the day is pressed into")
    seed: int = Field(default=1, ge=0)
    night: Night | None = None

    def frame(self, root: Path, settings: Settings) -> pd.DataFrame:
        """The rows, generated.

        Raises:
            UnknownNameError: No such variant.
            WorkloadError: A mix that cannot be made.
        """
        del root
        mix = settings.variant_mix(self.variant)
        day = generate(mix, settings.images, requests=self.requests, duration_s=DAY_H * 3600, seed=self.seed)
        return sped_up(thinned(day, self.night) if self.night else day, DAY_H / self.hours)


class TraceFile(Params):
    """A trace of the checkout, in any format that ``deltastack run --trace`` reads."""

    kind: Literal["trace"]
    path: str = Field(min_length=1, description="below the checkout")
    speed: float = Field(default=1.0, gt=0)
    drop_bad: bool = False
    observe_reuse: bool = Field(default=False, description="its hashes say what a tier of KV cache may find")

    def frame(self, root: Path, settings: Settings) -> pd.DataFrame:
        """Its rows.

        Raises:
            WorkloadError: No such file, or bad rows.
            ParamsError: A path out of the checkout.
        """
        if not (root / self.path).resolve().is_relative_to(root.resolve()):
            raise ParamsError(f"workload.path: found {self.path}, wanted a file below the checkout")
        found = readers.read(root / self.path, settings.images, drop_bad=self.drop_bad).frame
        return sped_up(unknown_prefixes(found) if self.observe_reuse else found, self.speed)

    def reuse(self, root: Path) -> Reuse | None:
        """How often prefixes come again by the hashes of the trace; None where they are not to be observed.

        Raises:
            WorkloadError: A line that is no row.
            ParamsError: A trace that tells no hashes.
        """
        if not self.observe_reuse:
            return None
        path = root / self.path
        kind = readers.sniff(path)
        if kind not in block_traces.KINDS:
            raise ParamsError(
                f"workload.observe_reuse: {self.path} tells no hashes of blocks; wanted Mooncake or Bailian, or false"
            )
        with path.open(encoding="utf-8-sig") as found:
            return reuse(block_traces.blocks(found, kind), block_traces.KINDS[kind].block_tokens)


class Agents(Sessions):
    """Agents, generated as a Mooncake trace and read as one; how often prefixes come again is observed from its hashes."""

    kind: Literal["agents"]

    def frame(self, root: Path, settings: Settings) -> pd.DataFrame:
        """The rows; a base without a tier computes every prefix, so none is called cached.

        Raises:
            WorkloadError: Sessions that make no request.
        """
        del root
        read = to_workload(
            block_traces.read(lines(rows(self))), name="agents", kind="mooncake", rule=settings.images, drop_bad=False
        )
        return unknown_prefixes(read.frame)

    def reuse(self, root: Path) -> Reuse:
        """How often prefixes come again."""
        del root
        return reuse(block_traces.blocks(lines(rows(self))))


Source = Annotated[Served | Mixture | TraceFile | Agents, Field(discriminator="kind")]
"""What a scene's ``workload`` may be."""


def unknown_prefixes(frame: pd.DataFrame) -> pd.DataFrame:
    """The same requests without what their prompts share: where a tier of KV cache is to find it."""
    unknown = pd.array([None] * len(frame), dtype="Int64")
    return frame.assign(prefix_tokens=unknown, reuse_tokens=unknown, reuse_requests=unknown)


def sped_up(frame: pd.DataFrame, speed: float) -> pd.DataFrame:
    """The same requests, each after ``1 / speed`` of its time."""
    return frame if speed == 1.0 else frame.assign(arrival_s=frame["arrival_s"] / speed)


def thinned(frame: pd.DataFrame, night: Night) -> pd.DataFrame:
    """``frame`` with every request of the night left out but an even share of them.

    Of n requests in the night the k-th stays if floor(k share) > floor((k - 1) share): n share of them, evenly.
    """
    hour = (frame["arrival_s"].to_numpy(float) / 3600.0 - night.start_h) % DAY_H
    dark = hour < night.hours
    count = np.cumsum(dark)
    keep = ~dark | (np.floor(count * night.share) > np.floor((count - 1) * night.share))
    found = frame[keep].reset_index(drop=True)
    return WORKLOAD.check(found.assign(request=np.arange(len(found))).astype({"request": "Int64"}))
