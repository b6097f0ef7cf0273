"""Exact work of a session: operations and weights that were touched, counted where modules are called.

    linear        2 rows in out                convolution   2 outputs in_channels kernel / groups
    attention     4 head_width heads sum over queries of the keys it sees (scores and values)

Operations are those of the mathematical operation: a layer in eight bits counts as the layer it stands for, and is counted
once more as ``packed``. So a quantized model does not seem to do nothing, which counters at the level of kernels report.
Element-wise work (norms, activations, softmax) is left out. The count is the same in every run: its interval has no width.
"""

from __future__ import annotations

import contextlib
import math
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deltastack.model import Component
from deltastack.testbed.vlm.serving import Rank, Ranked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import nn

    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Batch, Host
    from deltastack.testbed.vlm.serving import Tensors

_LAST = "~work"
"""Sorts after every technique of its rank, so that the modules that really run are the ones that are counted."""


@dataclass(slots=True)
class Work:
    """What one session did."""

    operations: dict[Component, int] = field(default_factory=dict)
    packed_operations: int = 0
    """Of these, in modules that stand in for a linear layer (eight-bit codes, sparse blocks)."""
    touched: dict[str, int] = field(default_factory=dict)
    """Weights by module that ran at least once; an embedding counts whole."""
    weights_read_byte: int = 0
    """Calls x bytes of every linear layer and convolution, as it holds its weights: micro-batches read them again."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Micro-batches count from threads of their own."""

    @property
    def total(self) -> int:
        """Operations of the session."""
        return sum(self.operations.values())

    @property
    def weights_touched(self) -> int:
        """Weights that at least one request used."""
        return sum(self.touched.values())

    def add(self, component: Component, operations: int, *, read_byte: int = 0, packed: bool = False) -> None:
        """Count ``operations`` to ``component``, and the bytes of weights that they read."""
        with self._lock:
            self.operations[component] = self.operations.get(component, 0) + operations
            self.packed_operations += operations if packed else 0
            self.weights_read_byte += read_byte

    def figures(self) -> dict[str, int]:
        """What the card of exact work shows of it."""
        return {
            "weights_read_byte": self.weights_read_byte,
            "operations": self.total,
            "packed_operations": self.packed_operations,
        }


def audit(engine: Engine, batches: Sequence[Batch]) -> Work:
    """Serve one session with counting hooks, as the engine is switched now; its times are not to be used."""
    work = Work()

    @contextlib.contextmanager
    def count(host: Host, spare: Tensors) -> Iterator[None]:
        del spare
        handles = _hooked(host, work)
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    with engine.register("changes", _LAST, Ranked(Rank.HOOKS, _LAST, count)):
        engine.run(batches)
    return work


def _hooked(host: Host, work: Work) -> list[Any]:
    component = {id(m): c for c, roots in host.parts().items() for r in roots for m in r.modules()}
    attentions = [(Component.ATTENTION, m) for m in host.parts()[Component.ATTENTION]]
    attentions += [(Component.ENCODER, a) for b in host.encoder_blocks if (a := _attention_of(b)) is not None]
    handles = [m.register_forward_pre_hook(_attention_hook(c, work), with_kwargs=True) for c, m in attentions]
    for name, module in host.model.named_modules():
        if _is_linear(module) or hasattr(module, "kernel_size") or hasattr(module, "num_embeddings"):
            c = component.get(id(module), Component.OTHER)
            handles.append(module.register_forward_hook(_product_hook(name, c, work)))
    return handles


def _is_linear(module: nn.Module) -> bool:
    return hasattr(module, "in_features") and hasattr(module, "out_features")


def _attention_of(block: nn.Module) -> nn.Module | None:
    found: nn.Module | None = getattr(block, "self_attn", None) or getattr(block, "attn", None)
    return found


def _product_hook(name: str, component: Component, work: Work) -> Any:
    def after(module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        work.touched[name] = _weights(module)
        if hasattr(module, "num_embeddings"):
            return
        if _is_linear(module):
            rows = math.prod(inputs[0].shape[:-1])
            operations = 2 * rows * module.in_features * module.out_features
        else:
            operations = 2 * output.numel() * module.in_channels // module.groups * math.prod(module.kernel_size)
        work.add(component, operations, read_byte=_held_byte(module), packed=hasattr(module, "packed_byte"))

    return after


def _held_byte(module: Any) -> int:
    """Bytes of weights that one call reads: packed ones as they are packed."""
    own = sum(p.numel() * p.element_size() for p in module.parameters(recurse=False))
    return int(getattr(module, "packed_byte", own))


def _weights(module: Any) -> int:
    own = sum(p.numel() for p in module.parameters(recurse=False))
    return own or (module.in_features * module.out_features if _is_linear(module) else 0)


def _attention_hook(component: Component, work: Work) -> Any:
    def before(module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        hidden = named["hidden_states"] if "hidden_states" in named else inputs[0]
        if component is Component.ENCODER:
            pairs = _encoder_pairs(hidden, named.get("cu_seqlens"))
        else:
            pairs = _decoder_pairs(module, hidden, named.get("past_key_values"))
        width = int(getattr(module, "head_dim", 0)) * _heads(module)
        work.add(component, 4 * pairs * width)

    return before


def _heads(module: Any) -> int:
    found = getattr(module, "num_heads", None) or getattr(module.config, "num_attention_heads", None)
    return int(found or module.config.num_heads)


def _encoder_pairs(hidden: Any, lengths: Any) -> int:
    """Every token of an image sees every token of it."""
    if lengths is not None:
        return int(((lengths[1:] - lengths[:-1]) ** 2).sum())
    return int(hidden.shape[0] * hidden.shape[1] ** 2)


def _decoder_pairs(module: Any, hidden: Any, cache: Any) -> int:
    """Token i of n new ones sees the cache and the new ones up to itself."""
    n = int(hidden.shape[1])
    past = 0 if cache is None else int(cache.get_seq_length(module.layer_idx))
    return int(hidden.shape[0]) * (n * past + n * (n + 1) // 2)
