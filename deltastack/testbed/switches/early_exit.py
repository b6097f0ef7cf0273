"""A decoded token that the model is sure of after some layers passes by the others.

The exit head is the model's own: final norm and output head on the hidden state h of layer k. A row is sure if

    max softmax(head(norm(h))) >= confidence

and leaves with h: in every later layer i its keys and values are those of h, k_i = K_i norm_i(h) and v_i = V_i norm_i(h), so
that later tokens that stay find keys of every token in every layer (as CALM does). Prompts pass all layers.

What a row does never depends on its neighbours; what is saved does: as long as one row of a batch stays, all are multiplied, and
those that left are put back afterwards. When all have left, the rest is keys and values only, and the head is not asked again.

A model of random weights is sure of nothing. There rows leave by a draw from their own prompt, so often as the trained
model's do; the head is asked all the same.

Source: Schuster et al., Confident Adaptive Language Modeling, NeurIPS 2022, arXiv 2207.07061 (state propagation).
"""

from __future__ import annotations

import contextlib
import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from deltastack.errors import OutOfValidityError
from deltastack.model import Component
from deltastack.testbed.switches import layer_bypass
from deltastack.testbed.vlm.serving import Rank, Ranked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor

    from deltastack.testbed.switches.settings import EarlyExit
    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Batch, Host
    from deltastack.testbed.vlm.serving import Tensors

NAME = "early_exit"
SEED = 20261124
_NEEDED = {"self_attn": ("k_proj", "v_proj"), "input_layernorm": ()}


@dataclass(slots=True)
class Way:
    """One batch: what is drawn for it, (B, steps) or None, and what was decided in the current step."""

    drawn: Tensor | None
    step: int = 0
    left: Tensor | None = None
    """Rows that left in this step, (B,); None before it is decided, and while a prompt is computed."""
    logits: Tensor | None = None
    """What the exit head said, (B, 1, V)."""
    asked: int = 0
    exits: int = 0

    @property
    def done(self) -> bool:
        """Whether every row has left."""
        return self.left is not None and bool(self.left.all())


def early_exit(engine: Engine, p: EarlyExit) -> AbstractContextManager[None]:
    """Decoded tokens leave after ``p.after`` of the layers when the model is sure of them.

    Raises:
        OutOfValidityError: A decoder of a single layer, or layers whose parts have other names.
    """
    layers = engine.host.layers
    if len(layers) == 1:
        raise OutOfValidityError("not applicable: the decoder has one layer, and none to leave before")
    for child, parts in _NEEDED.items():
        block = getattr(layers[0], child, None)
        lacking = [x for x in parts if not hasattr(block, x)]
        if block is None or lacking:
            raise OutOfValidityError(f"not applicable: {type(layers[0]).__name__} has no '{'.'.join([child, *lacking[:1]])}'")
    return contextlib.nullcontext() if p.after == 1 else _leaving(engine, p)


@contextlib.contextmanager
def _leaving(engine: Engine, p: EarlyExit) -> Iterator[None]:
    def route(batch: Batch) -> AbstractContextManager[None]:
        drawn = engine.device.place(draws(batch.prompts, batch.new_tokens, p.exits)) if engine.random_weights else None
        return layer_bypass.going(NAME, Way(drawn))

    change = Ranked(Rank.HOOKS, NAME, partial(_changed, engine=engine, p=p))
    with engine.register("batch_hooks", NAME, route), engine.register("changes", NAME, change):
        yield


def draws(prompts: Tensor, steps: int, share: float) -> Tensor:
    """Which steps of which rows leave, (B, steps), drawn from each prompt's own tokens: the same in whatever batch it is."""
    import torch

    seeds = [[SEED, zlib.crc32(row.cpu().numpy().tobytes())] for row in prompts]
    return torch.from_numpy(np.stack([np.random.default_rng(seed).random(steps) < share for seed in seeds]))


@contextlib.contextmanager
def _changed(host: Host, spare: Tensors, *, engine: Engine, p: EarlyExit) -> Iterator[None]:
    del spare
    n = len(host.layers)
    first = max(1, min(round(p.after * n), n - 1))  # of a student's single layer nobody leaves before
    with contextlib.ExitStack() as stack:
        head = stack.enter_context(_head(host.model))
        norm: Any = host.decoder.norm
        decide = partial(_decided, said=lambda hidden: head.asked(norm(hidden)), confidence=p.confidence)
        for layer in list(host.layers)[first:]:
            stack.enter_context(layer_bypass.passing(layer, partial(_passed, layer=layer, engine=engine, decide=decide)))
        handle = host.decoder.register_forward_pre_hook(_anew)
        stack.callback(handle.remove)
        yield


def _anew(*_: object) -> None:
    """A forward of the decoder begins: nothing is decided."""
    way = layer_bypass.way(NAME)
    if way is not None:
        way.left = way.logits = None


def _decided(hidden: Tensor, way: Way, *, said: Callable[[Tensor], Tensor], confidence: float) -> None:
    """Ask the exit head, and say which rows leave."""
    way.logits = logits = said(hidden)
    sure = logits[:, -1].softmax(-1).amax(-1) >= confidence
    way.left = left = sure if way.drawn is None else way.drawn[:, way.step]
    way.step += 1
    way.asked += left.numel()
    way.exits += int(left.sum())


def _passed(
    own: Callable[..., Any], hidden: Tensor, *args: Any, layer: Any, engine: Engine, decide: Callable[..., None], **named: Any
) -> Any:
    way: Way | None = layer_bypass.way(NAME)
    if way is None or named["past_key_values"].get_seq_length() == hidden.shape[1]:  # a prompt: nothing was before it
        return own(hidden, *args, **named)
    if way.left is None:
        decide(hidden, way)
    if way.done:
        with engine.recorder.within(Component.ATTENTION):
            remember(layer, hidden, named["position_embeddings"], named["past_key_values"])
        return hidden
    assert way.left is not None  # noqa: S101 - just decided
    return hidden.where(way.left[:, None, None], own(hidden, *args, **named))


def remember(layer: Any, hidden: Tensor, positions: tuple[Tensor, Tensor], cache: Any) -> None:
    """Put the keys and values that ``layer`` would have of ``hidden`` (B, T, H) into ``cache``, and nothing else."""
    attention = layer.self_attn
    normed = layer.input_layernorm(hidden)
    shape = (*normed.shape[:-1], -1, attention.head_dim)
    keys = attention.k_proj(normed).view(shape)
    if hasattr(attention, "k_norm"):
        keys = attention.k_norm(keys)
    values = attention.v_proj(normed).view(shape).transpose(1, 2)
    cache.update(turned(keys.transpose(1, 2), *positions), values, attention.layer_idx)


def turned(keys: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Keys (B, G, T, D) at their rotary positions: k cos + (-k_2, k_1) sin over halves of D.

    Source: Su et al., arXiv 2104.09864, in the halves' form that the three families share.
    """
    import torch

    first, second = keys.chunk(2, dim=-1)
    return keys * cos[:, None] + torch.cat([-second, first], dim=-1) * sin[:, None]


@contextlib.contextmanager
def _head(model: Any) -> Iterator[Any]:
    """The output head behind one that repeats what was said at the exit."""
    from deltastack.testbed.switches.cached_head import SparedHead

    own = model.get_output_embeddings()
    name = next(n for n, m in model.named_children() if m is own)
    spared = SparedHead(own, lambda: layer_bypass.way(NAME))
    setattr(model, name, spared)
    try:
        yield spared
    finally:
        setattr(model, name, own)
