"""A linear layer on packed eight-bit codes. Imports torch: only switches load this module."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from deltastack.testbed.switches.stored_names import CODES, SCALES

if TYPE_CHECKING:
    from deltastack.testbed.vlm.serving import Tensors


class Int8Linear(nn.Module):
    """y = x W + b with W in codes and scales; activations are quantized by their range at every call."""

    def __init__(self, path: str, replaced: nn.Linear, stored: Tensors) -> None:
        """Pack the codes of ``path`` for this processor's kernels; ``replaced`` lends its bias."""
        super().__init__()
        self.in_features, self.out_features = replaced.in_features, replaced.out_features
        self.path = path
        self.narrow = not torch.cpu._is_vnni_supported()  # noqa: SLF001 - the only place where torch says it
        """Without 8-bit dot products of the processor, 7-bit activations keep the kernels from overflowing."""
        self.packed_byte = 0
        self._packed: Any = None
        self._pack(stored, replaced.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., K) to (..., N), in the input's dtype."""
        y: torch.Tensor = torch.ops.quantized.linear_dynamic(x.to(torch.float32), self._packed, self.narrow)
        return y.to(x.dtype)

    def release(self) -> None:
        """Let go of the packed weight."""
        self._packed, self.packed_byte = None, 0

    def restore(self, stored: Tensors) -> None:
        """Pack again from the stored codes."""
        self._pack(stored, stored.get(f"{self.path}.bias"))

    def _pack(self, stored: Tensors, bias: torch.Tensor | None) -> None:
        codes, scales = stored[self.path + CODES], stored[self.path + SCALES].to(torch.float64)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.quantize_per_tensor", category=UserWarning)  # torch is pinned
            make = torch._make_per_channel_quantized_tensor  # noqa: SLF001 - the kernels take no other form of given codes
            weight = make(codes, scales, torch.zeros(len(codes), dtype=torch.int64), 0)
            self._packed = torch.ops.quantized.linear_prepack(weight, None if bias is None else bias.detach().to(torch.float32))
        self.packed_byte = codes.numel() + 8 * len(codes) + (0 if bias is None else 4 * len(codes))
