"""The baseline's layout: safetensors, mapped, read from front to back.

This is what a competent loader does today: no copy of the weights is made, and processes share the pages. The pages are
touched in order inside ``load``, so that the disk's time is charged to storage and not to whoever needs a page first.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deltastack.testbed.vlm.serving import Loaded

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.testbed.vlm.serving import Tensors


@dataclass(frozen=True, slots=True)
class Mapped:
    """Safetensors through a private mapping."""

    name: str = "mapped"

    def write(self, tensors: Tensors, path: Path) -> None:
        """Write the tensors in the order of their names."""
        from safetensors.torch import save_file

        save_file({k: tensors[k].contiguous() for k in sorted(tensors)}, path)

    def load(self, path: Path) -> Loaded:
        """Map and touch everything."""
        return self.load_some(path, ("",))

    def load_some(self, path: Path, roots: tuple[str, ...]) -> Loaded:
        """Map and touch tensors whose names begin with one of ``roots``."""
        from safetensors import safe_open

        with safe_open(path, framework="pt") as file:
            tensors = {k: file.get_tensor(k) for k in file.offset_keys() if k.startswith(roots)}
        asked_byte = sum(touch(t) for t in tensors.values())
        return Loaded(tensors, asked_byte, _nothing)


def touch(tensor: object) -> int:
    """Read one byte of every page of ``tensor``; its bytes."""
    import torch

    flat = tensor.view(-1).view(torch.uint8)  # type: ignore[attr-defined]
    flat[:: mmap.PAGESIZE].sum()
    return int(flat.numel())


def _nothing() -> None:
    """The mapping ends with the last tensor on it."""
