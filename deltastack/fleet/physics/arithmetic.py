"""What cheaper arithmetic changes: sparse matrix multiplication by token count, and the exponentials of softmax.

Matrix multiplication of n tokens is bound by bytes below a knee n* and by operations above it. With N of M weights kept,

    dense  t(n) = max(1, n / n*)
    sparse t(n) = max(r / e_b, (n / n*) (N / M) / e_c)       r = N / M + index bits a weight / bits a weight

in units of the dense byte time; e_b and e_c say how much of the ideal a kernel reaches. N = M is the dense kernel: Δ = 0.

A causal prefill of S tokens takes h L S^2 / 2 exponentials; un-overlapped they add h L S^2 / (2 R) seconds, which is the
most that an approximation can save; overlapped with matrix work (FlashAttention-3 and later) it saves nothing.

Source: 2:4 doubles the peak (Mishra et al., arXiv 2104.08378); 1.27x end to end for Llama-3-8B in FP8 and 12 % slower at
batch 1 are published reports (params/layers/instruction_set.yaml); 16 exponentials a clock and multiprocessor:
FlashAttention-3, arXiv 2407.08608, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import OutOfValidityError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparsity:
    """N of every M weights kept, weights of so many bits, and what the kernel reaches of the ideal."""

    kept: int
    group: int
    weight_bits: int
    byte_efficiency: float
    compute_efficiency: float

    def __post_init__(self) -> None:
        """Refuse a pattern that is none.

        Raises:
            OutOfValidityError: Nothing kept, more kept than there is, or an efficiency outside 0..1.
        """
        if not 1 <= self.kept <= self.group or self.weight_bits < 1:
            raise OutOfValidityError(
                f"{self.kept} of {self.group} weights of {self.weight_bits} bits: 1 <= kept <= group is wanted"
            )
        if not (0 < self.byte_efficiency <= 1 and 0 < self.compute_efficiency <= 1):
            raise OutOfValidityError(f"efficiencies lie in 0..1; found {self.byte_efficiency} and {self.compute_efficiency}")

    @property
    def density(self) -> float:
        """Share of weights kept."""
        return self.kept / self.group

    @property
    def byte_ratio(self) -> float:
        """Bytes stored over dense bytes: kept values, and log2(M) bits of index for each (2:4 in bf16: 0.5625)."""
        if self.kept == self.group:
            return 1.0
        index_bits = int(np.ceil(np.log2(self.group)))
        return self.density * (1 + index_bits / self.weight_bits)


def knee_tokens(flops: float, bytes_per_s: float, weight_bits: int) -> float:
    """Tokens at which operations take as long as the weights' bytes: F b / (2 B), b bytes a weight.

    Raises:
        OutOfValidityError: A rate that is not positive.
    """
    if min(flops, bytes_per_s, weight_bits) <= 0:
        raise OutOfValidityError("rates and widths are positive")
    return flops * (weight_bits / 8) / (2 * bytes_per_s)


def sparse_time_factor(tokens: ArrayLike, knee: float, sparsity: Sparsity) -> NDArray[np.float64]:
    """Time of the sparse kernel over the dense one at (T,) token counts; above 1 it is slower.

    Raises:
        OutOfValidityError: A token count or knee that is not positive.
    """
    n = np.asarray(tokens, dtype=np.float64)
    if (n <= 0).any() or knee <= 0:
        raise OutOfValidityError("token counts and the knee are positive")
    if sparsity.kept == sparsity.group:
        return np.ones_like(n)
    dense = np.maximum(1.0, n / knee)
    by_bytes = sparsity.byte_ratio / sparsity.byte_efficiency
    by_operations = n / knee * sparsity.density / sparsity.compute_efficiency
    factor: NDArray[np.float64] = np.maximum(by_bytes, by_operations) / dense
    return factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax:
    """The exponentials of a model on a device: h heads (on it), L layers, R exponentials a second."""

    heads: float
    layers: int
    exponentials_per_s: float

    def seconds(self, prompt_tokens: float) -> float:
        """Time [s] of the exponentials of one causal prefill, if nothing hides them.

        Raises:
            OutOfValidityError: A figure that is not positive.
        """
        if min(prompt_tokens, self.heads, self.layers, self.exponentials_per_s) <= 0:
            raise OutOfValidityError("tokens, heads, layers and the rate are positive")
        return self.heads * self.layers * prompt_tokens**2 / 2 / self.exponentials_per_s

    def chunk_seconds(self, chunk_tokens: ArrayLike, prefix_tokens: ArrayLike) -> NDArray[np.float64]:
        """Time [s] of the exponentials of new tokens over a prefix, causal among themselves: h L (c p + c^2 / 2) / R.

        Raises:
            OutOfValidityError: A figure that is not positive, or a negative prefix.
        """
        c, p = np.asarray(chunk_tokens, dtype=np.float64), np.asarray(prefix_tokens, dtype=np.float64)
        if min(self.heads, self.layers, self.exponentials_per_s) <= 0 or (c <= 0).any() or (p < 0).any():
            raise OutOfValidityError("tokens, heads, layers and the rate are positive")
        seconds: NDArray[np.float64] = self.heads * self.layers * (c * p + c * c / 2) / self.exponentials_per_s
        return seconds

    def share(self, prompt_tokens: float, *, prefill_s: float, overlap: float) -> float:
        """Share of a prefill that its exponentials take, ``overlap`` of them hidden behind matrix work.

        ``prefill_s`` is the prefill without them; the share is of the sum.

        Raises:
            OutOfValidityError: An overlap outside 0..1, or a time that is not positive.
        """
        if not 0 <= overlap <= 1 or prefill_s <= 0:
            raise OutOfValidityError(f"overlap {overlap} in 0..1 and a positive prefill ({prefill_s} s) are wanted")
        seen_s = (1 - overlap) * self.seconds(prompt_tokens)
        return seen_s / (prefill_s + seen_s)
