"""Softmax by a polynomial exponential, in every attention of the model, encoder and decoder.

It replaces a fused kernel by separate steps, which is what such an instruction has to beat: ``same_path`` is the same
separate steps with the exact exponential, so that the exponential's own share can be seen.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from deltastack.testbed.switches.preconditions import only_on_processor
from deltastack.testbed.vlm.serving import Rank, Ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor

    from deltastack.testbed.switches.settings import SoftmaxApprox
    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Host
    from deltastack.testbed.vlm.serving import Tensors

NAME = "softmax_approx"


def softmax_approx(engine: Engine, p: SoftmaxApprox) -> AbstractContextManager[None]:
    """Attend with a polynomial of degree ``p.degree``.

    Raises:
        OutOfValidityError: Not the processor: the compiled loop runs there only.
    """
    if p.degree is None:
        return contextlib.nullcontext()
    only_on_processor(engine, "the polynomial is compiled for the processor")
    from deltastack.testbed.switches.exponential import softmax

    return _attending(engine, f"polynomial_{p.degree}", softmax(p.degree))


def same_path(engine: Engine) -> AbstractContextManager[None]:
    """The other baseline: the same separate steps with the exact exponential."""
    import torch

    return _attending(engine, "separate_steps", lambda scores: torch.softmax(scores, dim=-1))


@contextlib.contextmanager
def _attending(engine: Engine, name: str, softmax: Callable[[Tensor], Tensor]) -> Iterator[None]:
    from deltastack.testbed.switches import attention

    attention.register(name, softmax)

    @contextlib.contextmanager
    def change(host: Host, spare: Tensors) -> Iterator[None]:
        del spare
        configs: dict[int, Any] = {id(m.config): m.config for m in host.model.modules() if hasattr(m, "config")}
        before = {key: config._attn_implementation for key, config in configs.items()}  # noqa: SLF001 - no public name reads it
        model: Any = host.model
        model.set_attn_implementation(name)
        try:
            yield
        finally:
            for key, config in configs.items():
                config._attn_implementation_internal = before[key]  # noqa: SLF001 - the public setter reaches into sub-configs

    with engine.register("changes", NAME, Ranked(Rank.ATTENTION, NAME, change)):
        yield
