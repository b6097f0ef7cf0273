"""Retention of everything that runs leave behind, by one setting: ``runs_kept`` of params/stack.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows import process_group, tidy_cache, tidy_prefect, tidy_tracking
from tasks import tidy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def apply(root: Path, say: Callable[[str], object], *, dry: bool) -> list[tidy.Kept]:
    """Count what is older than the newest runs, and drop it unless ``dry``; one entry a store.

    The graph is held meanwhile: no run makes what is dropped. DVC's cache comes before the receipts that tell its age.

    Raises:
        ParamsError: params/stack.yaml does not hold.
        TrackingError: MLflow's server does not answer.
        PreflightError: Prefect's database cannot be tidied.
    """
    most = tidy.most(root)
    with process_group.turn(root, say):
        return [
            tidy_cache.cache(root, most, apply=not dry),
            tidy_tracking.runs(root, most, apply=not dry),
            tidy_prefect.database(root, most, apply=not dry),
            *tidy.files(root, most, apply=not dry),
        ]
