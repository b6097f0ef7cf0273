"""A decoder with static keys and values: prefill of whole prompts, and decode steps that a graph can hold.

    h = norm(x + r);  q, k, v = split(W_qkv h), each head normed and turned by its position
    r += x;  x = W_o attention(q, K, V);  h = norm(x + r);  r += x;  x = W_down (silu(a) b), (a, b) = W_gate_up h

Requests of one prompt length form a group, so that attention needs no mask. A decode step runs at the mean context of its group
(half of the answer written), so that one graph stands for all steps: it writes the last place and reads all of them.

Source: the equations of Qwen3 (arXiv 2505.09388); rotary positions, arXiv 2104.09864.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch.nn import functional

from deltastack.accelerator import attention
from deltastack.accelerator.clusters import Clusters, alone
from deltastack.accelerator.experts import Experts, mixed
from deltastack.accelerator.lanes import Lanes
from deltastack.accelerator.linear import FP8, Linear, rescaled
from deltastack.accelerator.settings import Arithmetic, Attention

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from deltastack.accelerator.device import Device
    from deltastack.accelerator.settings import Switched
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
    spare: bool = False
    """Keys and values go to the second caches, so that the first can be read beside it."""
    turns: tuple[Tensor, Tensor] | None = None
    """Cosine and sine of every token's position, (tokens, 1, dim / 2) each; made once a pass."""


class Layer:
    """The weights of one layer."""

    def __init__(self, s: Shape, device: Device, clusters: Clusters) -> None:
        """Make random weights on the device."""
        wide = (s.heads + 2 * s.kv_heads) * s.head_dim
        sizes = {
            "qkv": (wide, s.hidden),
            "out": (s.hidden, s.heads * s.head_dim),
            "up": (2 * s.ffn, s.hidden),
            "down": (s.hidden, s.ffn),
        }
        self.experts: Experts | None = None
        if s.experts:
            del sizes["up"], sizes["down"]
            router, up, down = (s.experts, s.hidden), (s.experts, 2 * s.ffn, s.hidden), (s.experts, s.hidden, s.ffn)
            self.experts = Experts(random(device, *router), random(device, *up), random(device, *down), s.active)
        self.linear = {name: Linear(random(device, *size), clusters.plain(rescaled)) for name, size in sizes.items()}
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
        self.clusters = Clusters(device)
        self.layers = [Layer(shape, device, self.clusters) for _ in range(shape.layers)]
        self.head = random(device, shape.vocabulary, shape.hidden)
        self._embedding = torch.randn(shape.vocabulary, shape.hidden, device=device.name, dtype=device.dtype)
        self._groups = groups
        self.caches = self._new_caches(device.dtype)
        self.small: list[Tensor] = []
        """The same in e4m3; made when they are first asked for."""
        self.spare: list[Tensor] = []
        """Second caches, for a prefill beside decode steps."""
        self._turns = _turns(max(c for _, c in groups), shape.head_dim, device)
        self.lanes = Lanes(cuda=device.cuda)

    def prepare(self, on: Switched) -> None:
        """Make what a cell needs: products in their form, caches of its kind."""
        for product in self._products():
            product.prepare(on.arithmetic)
        if on.kv8 and not self.small:
            self.small = self._new_caches(FP8)

    def release(self, arithmetic: Arithmetic | None = None) -> None:
        """Forget one form of the products, or all forms but the weights."""
        for product in self._products():
            product.release(arithmetic)

    def with_spare(self) -> None:
        """Make the second caches."""
        self.spare = self.spare or self._new_caches(self.device.dtype)

    def run(self, states: list[State], on: Switched) -> list[State]:
        """Bring micro-batches through all layers; an even step is attention, an odd one feed-forward."""
        half = self.shape.layers // 2

        def lane(step: int) -> int:
            upper = int(on.placed and step // 2 >= half)
            return upper * (1 + on.apart) + (step % 2 if on.apart else 0)

        def do(step: int, state: State) -> State:
            layer = self.layers[step // 2]
            return self._feed_forward(layer, state, on) if step % 2 else self._attend(step // 2, layer, state, on)

        for state in states:
            positions = self._positions(state)
            cos, sin = self._turns
            state.turns = cos[positions][:, None], sin[positions][:, None]
        return self.lanes.run(states, 2 * self.shape.layers, lane, do, partitioned=on.partitioned)

    def answer(self, x: Tensor) -> Tensor:
        """The next token of each row, (rows,)."""
        return functional.linear(x, self.head).argmax(-1)

    def embed(self, tokens: Tensor) -> Tensor:
        """Embeddings of some tokens, (tokens, hidden)."""
        found: Tensor = self._embedding[tokens]
        return found

    def _new_caches(self, dtype: torch.dtype) -> list[Tensor]:
        """(layers, 2, requests, context, heads of keys, dim) of each group."""
        s = self.shape
        sizes = ((s.layers, 2, count, context, s.kv_heads, s.head_dim) for count, context in self._groups)
        return [torch.zeros(size, device=self.device.name, dtype=dtype) for size in sizes]

    def _products(self) -> list[Linear]:
        return [product for layer in self.layers for product in layer.linear.values()]

    def _through(self, product: Linear, on: Switched, function: Callable[..., Any], *given: Tensor) -> tuple[Tensor, ...]:
        """``function``'s first answer through a product, packed in one kernel with it; then its other answers."""
        arithmetic, dtype = on.arithmetic, self.device.dtype
        scale = product.scale_of(arithmetic)
        if scale is None:  # the first call sets it
            found = function(*given)
            scale = product.calibrate(found[0] if isinstance(found, tuple) else found)
        packed, own, *others = self.clusters.packed(function, arithmetic)(scale, *given)
        return product.product(packed, own, arithmetic, dtype), *others

    def _attend(self, number: int, layer: Layer, state: State, on: Switched) -> State:
        s = self.shape
        assert state.turns is not None  # noqa: S101 - ``run`` sets them
        mixed, residual = self._through(layer.linear["qkv"], on, add_norm, state.x, state.residual, layer.norms[0])
        mixed = mixed.view(len(mixed), s.heads + 2 * s.kv_heads, s.head_dim)
        turn = self.clusters.plain(norm_and_turn)
        q, k = turn(mixed[:, : s.heads], mixed[:, s.heads : s.heads + s.kv_heads], *layer.head_norms, *state.turns)
        v = mixed[:, s.heads + s.kv_heads :]
        found, at = [], 0
        for rows in state.rows:
            there = slice(at, at + rows.number * rows.tokens)
            found.append(
                self._attention(self._cache(rows.group, number, state, on), rows, (q[there], k[there], v[there]), state, on)
            )
            at = there.stop
        seen = torch.cat(found) if len(found) > 1 else found[0]
        (x,) = self._through(layer.linear["out"], on, alone, seen)
        return replace(state, x=x, residual=residual)

    def _cache(self, group: int, number: int, state: State, on: Switched) -> Tensor:
        """Keys and values of one group in one layer, (2, requests, context, heads, dim)."""
        found: Tensor = (self.small if on.kv8 else self.spare if state.spare else self.caches)[group][number]
        return found

    def _attention(self, cache: Tensor, rows: Rows, qkv: tuple[Tensor, Tensor, Tensor], state: State, on: Switched) -> Tensor:
        """Write keys and values of ``rows``, then attend: to all that is cached when decoding, else causally to the prompt."""
        s, n, t = self.shape, rows.number, rows.tokens
        q, k, v = qkv
        mine = cache[:, rows.first : rows.first + n]
        place = slice(-1, None) if state.decoding else slice(0, t)
        mine[0, :, place] = k.view(n, t, s.kv_heads, s.head_dim)
        mine[1, :, place] = v.view(n, t, s.kv_heads, s.head_dim)
        if state.decoding and on.attention is not Attention.FUSED:
            kernel = self.clusters.plain(attention.KERNELS[on.attention])
            read: Tensor = kernel(q.view(n, s.heads, s.head_dim), mine[0], mine[1])
            return read.reshape(n, s.heads * s.head_dim)
        if state.decoding:
            keys, values = mine.transpose(2, 3)
        else:
            keys, values = (z.view(n, t, s.kv_heads, s.head_dim).transpose(1, 2) for z in (k, v))
        asked = q.view(n, t, s.heads, s.head_dim).transpose(1, 2)
        grouped = s.heads != s.kv_heads
        seen: Tensor = functional.scaled_dot_product_attention(
            asked, keys, values, is_causal=not state.decoding, enable_gqa=grouped
        )
        found: Tensor = seen.transpose(1, 2).reshape(n * t, s.heads * s.head_dim)
        return found

    def _feed_forward(self, layer: Layer, state: State, on: Switched) -> State:
        if layer.experts is not None:
            h, residual = self.clusters.plain(add_norm)(state.x, state.residual, layer.norms[1])
            return replace(state, x=mixed(h, layer.experts, self.clusters.plain(gated)), residual=residual)
        both, residual = self._through(layer.linear["up"], on, add_norm, state.x, state.residual, layer.norms[1])
        (x,) = self._through(layer.linear["down"], on, gated, both)
        return replace(state, x=x, residual=residual)

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
