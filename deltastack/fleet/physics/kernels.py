"""Matrix kernels as they were measured: time over that of the dense 16-bit kernel, by the number of tokens.

    f(n) = t_kernel(n) / t_dense(n)        between the measured token counts straight in ln n, outside them as at the nearest one

By hand: 2 at 1 token and 1 at 100 give 1.5 at 10, 2 below 1 and 1 above 100.

Source: this project, one H100 80GB HBM3 SXM, 2026-11-26: the four linear products of a decoder layer of Qwen3-VL-8B as a CUDA
graph over eight layers (params/layers/instruction_set.yaml). Assumes: other shapes have the same ratio at the same number of
tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from deltastack.errors import OutOfValidityError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def time_factor(tokens: ArrayLike, measured_at: ArrayLike, factor: ArrayLike) -> NDArray[np.float64]:
    """Time of a kernel over the dense one at (T,) token counts, from (M,) measured ones.

    Raises:
        OutOfValidityError: No measurement, counts that do not rise from above 0, or a factor that is not positive.
    """
    n, at, f = (np.asarray(x, dtype=np.float64) for x in (tokens, measured_at, factor))
    if at.size == 0 or at.shape != f.shape or (at <= 0).any() or (np.diff(at) <= 0).any() or (f <= 0).any() or (n <= 0).any():
        raise OutOfValidityError(
            f"a measured kernel has one positive factor for each of its rising token counts; found tokens {at.tolist()} and "
            f"factors {f.tolist()}"
        )
    found: NDArray[np.float64] = np.interp(np.log(n), np.log(at), f)
    return found
