"""A decoder with static keys and values: prefill of whole prompts, and decode steps that a graph can hold.

    h = norm(x + r);  q, k, v = split(W_qkv h), each head normed and turned by its position
    r += x;  x = W_o attention(q, K, V);  h = norm(x + r);  r += x;  x = W_down (silu(a) b), (a, b) = W_gate_up h

Requests of one prompt length form a group, so that attention needs no mask. A decode step runs at the mean context of its group
(half of the answer written), so that one graph stands for all steps: it writes the last place and reads all of them.

Source: the equations of Qwen3 (arXiv 2505.09388); rotary positions, arXiv 2104.09864.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn import functional

from deltastack.accelerator.lanes import Lanes
from deltastack.accelerator.linear import Linear

if TYPE_CHECKING:
    from torch import Tensor

    from deltastack.accelerator.device import Device
    from deltastack.accelerator.settings import Arithmetic, Switched
    from deltastack.accelerator.shapes import Shape

_EPSILON = 1e-6
_BASE = 5e6
"""Of the rotary positions."""


class Rows(NamedTuple):
    """Neighbouring requests of one group in one micro-batch."""

    group: int
    first: int
    number: int
    tokens: int
    """Of each request in this pass."""


@dataclass(slots=True)
class State:
    """What a micro-batch carries between steps, (tokens, hidden) each."""

    x: Tensor
    residual: Tensor
    rows: tuple[Rows, ...]
    decoding: bool


class Layer:
    """The weights of one layer."""

    def __init__(self, s: Shape, device: Device) -> None:
        """Make random weights on the device."""
        wide = (s.heads + 2 * s.kv_heads) * s.head_dim
        sizes = {
            "qkv": (wide, s.hidden),
            "out": (s.hidden, s.heads * s.head_dim),
            "up": (2 * s.ffn, s.hidden),
            "down": (s.hidden, s.ffn),
        }
        self.linear = {name: Linear(random(device, *size), device.compiled) for name, size in sizes.items()}
        self.norms = [torch.ones(s.hidden, device=device.name, dtype=device.dtype) for _ in range(2)]
        self.head_norms = [torch.ones(s.head_dim, device=device.name, dtype=device.dtype) for _ in range(2)]


class Decoder:
    """All layers, the head, and the keys and values of every group."""

    def __init__(self, shape: Shape, device: Device, groups: tuple[tuple[int, int], ...]) -> None:
        """Make weights and caches on the device.

        Args:
            shape: Its sizes.
            device: Where it lives.
            groups: Requests and context length of each group.
        """
        self.shape, self.device = shape, device
        self.layers = [Layer(shape, device) for _ in range(shape.layers)]
        self.head = random(device, shape.vocabulary, shape.hidden)
        self._embedding = torch.randn(shape.vocabulary, shape.hidden, device=device.name, dtype=device.dtype)
        self.caches = [
            torch.zeros(shape.layers, 2, count, context, shape.kv_heads, shape.head_dim, device=device.name, dtype=device.dtype)
            for count, context in groups
        ]
        self._turns = _turns(max(c for _, c in groups), shape.head_dim, device)
        self._lanes = Lanes(cuda=device.cuda)
        self._norm, self._heads, self._gate = (device.compiled(f) for f in (add_norm, norm_and_turn, gated))

    def prepare(self, arithmetic: Arithmetic) -> None:
        """Make every product's form of an arithmetic; forms of others are forgotten."""
        for product in self._products():
            product.prepare(arithmetic)

    def release(self) -> None:
        """Forget all forms but the weights."""
        for product in self._products():
            product.release()

    def run(self, states: list[State], on: Switched) -> list[State]:
        """Bring micro-batches through all layers; an even step is attention, an odd one feed-forward."""
        half = self.shape.layers // 2

        def lane(step: int) -> int:
            upper = int(on.placed and step // 2 >= half)
            return upper * (1 + on.apart) + (step % 2 if on.apart else 0)

        def do(step: int, state: State) -> State:
            layer = self.layers[step // 2]
            return self._feed_forward(layer, state, on) if step % 2 else self._attend(step // 2, layer, state, on)

        return self._lanes.run(states, 2 * self.shape.layers, lane, do)

    def answer(self, x: Tensor) -> Tensor:
        """The next token of each row, (rows,)."""
        return functional.linear(x, self.head).argmax(-1)

    def embed(self, tokens: Tensor) -> Tensor:
        """Embeddings of some tokens, (tokens, hidden)."""
        found: Tensor = self._embedding[tokens]
        return found

    def _products(self) -> list[Linear]:
        return [product for layer in self.layers for product in layer.linear.values()]

    def _attend(self, number: int, layer: Layer, state: State, on: Switched) -> State:
        s = self.shape
        h, residual = self._norm(state.x, state.residual, layer.norms[0])
        mixed = layer.linear["qkv"](h, on.arithmetic).view(len(h), s.heads + 2 * s.kv_heads, s.head_dim)
        cos, sin = (t[self._positions(state)][:, None] for t in self._turns)
        q, k = self._heads(mixed[:, : s.heads], mixed[:, s.heads : s.heads + s.kv_heads], *layer.head_norms, cos, sin)
        v = mixed[:, s.heads + s.kv_heads :]
        found, at = [], 0
        for rows in state.rows:
            there = slice(at, at + rows.number * rows.tokens)
            found.append(self._attention(number, rows, q[there], k[there], v[there], decoding=state.decoding))
            at = there.stop
        x = layer.linear["out"](torch.cat(found) if len(found) > 1 else found[0], on.arithmetic)
        return State(x=x, residual=residual, rows=state.rows, decoding=state.decoding)

    def _attention(  # noqa: PLR0913 - the three tensors of attention, and whose they are
        self, number: int, rows: Rows, q: Tensor, k: Tensor, v: Tensor, *, decoding: bool
    ) -> Tensor:
        """Write keys and values of ``rows``, then attend: to all that is cached when decoding, else causally to the prompt."""
        s, n, t = self.shape, rows.number, rows.tokens
        mine = self.caches[rows.group][number, :, rows.first : rows.first + n]
        place = slice(-1, None) if decoding else slice(0, t)
        mine[0, :, place] = k.view(n, t, s.kv_heads, s.head_dim)
        mine[1, :, place] = v.view(n, t, s.kv_heads, s.head_dim)
        keys, values = (mine if decoding else mine[:, :, :t]).transpose(2, 3)
        asked = q.view(n, t, s.heads, s.head_dim).transpose(1, 2)
        grouped = s.heads != s.kv_heads
        seen: Tensor = functional.scaled_dot_product_attention(asked, keys, values, is_causal=not decoding, enable_gqa=grouped)
        found: Tensor = seen.transpose(1, 2).reshape(n * t, s.heads * s.head_dim)
        return found

    def _feed_forward(self, layer: Layer, state: State, on: Switched) -> State:
        h, residual = self._norm(state.x, state.residual, layer.norms[1])
        x = layer.linear["down"](self._gate(layer.linear["up"](h, on.arithmetic)), on.arithmetic)
        return State(x=x, residual=residual, rows=state.rows, decoding=state.decoding)

    def _positions(self, state: State) -> Tensor:
        """The position of every token of a micro-batch; made on the device, so that a graph can hold it."""
        ranges = [
            torch.full((r.number,), self.caches[r.group].shape[3] - 1, device=self.device.name)
            if state.decoding
            else torch.arange(r.tokens, device=self.device.name).repeat(r.number)
            for r in state.rows
        ]
        return torch.cat(ranges)


def random(device: Device, *size: int) -> Tensor:
    """Random numbers whose products with numbers of spread 1 have spread 1: standard deviation 1 / sqrt(inputs)."""
    found: Tensor = torch.randn(*size, device=device.name, dtype=device.dtype) / size[-1] ** 0.5
    return found


def add_norm(x: Tensor, residual: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """RMS norm of x + residual, and that sum."""
    total = x + residual
    wide = total.float()
    return (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + _EPSILON)).to(x.dtype) * weight, total


def norm_and_turn(  # noqa: PLR0913, PLR0917 - compiled as one function of its tensors
    q: Tensor, k: Tensor, q_weight: Tensor, k_weight: Tensor, cos: Tensor, sin: Tensor
) -> tuple[Tensor, Tensor]:
    """Queries and keys normed by head and turned by position, (tokens, heads, dim) each."""
    found = []
    for t, weight in ((q, q_weight), (k, k_weight)):
        wide = t.float()
        first, second = (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + _EPSILON) * weight).chunk(2, -1)
        found.append(torch.cat((first * cos - second * sin, second * cos + first * sin), -1).to(t.dtype))
    return found[0], found[1]


def gated(both: Tensor) -> Tensor:
    """silu(a) b of (tokens, 2 ffn)."""
    gate, up = both.chunk(2, -1)
    return functional.silu(gate.float()).to(both.dtype) * up


def _turns(positions: int, dim: int, device: Device) -> tuple[Tensor, Tensor]:
    """Cosine and sine by position, (positions, dim / 2) each."""
    frequency = 1.0 / _BASE ** (torch.arange(0, dim, 2, device=device.name).float() / dim)
    angle = torch.arange(positions, device=device.name).float()[:, None] * frequency
    return angle.cos(), angle.sin()
