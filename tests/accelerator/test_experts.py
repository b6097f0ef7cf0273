"""A mixture of experts: by hand, as a session, and its grouped product with a stand-in for the GPU's."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch

from deltastack.accelerator import device, experts, shapes, switches
from deltastack.accelerator.decoder import gated
from deltastack.accelerator.experts import Experts
from deltastack.accelerator.session import Server
from deltastack.accelerator.settings import Load, Switched

if TYPE_CHECKING:
    import pytest

LOAD = Load(requests=4, image_tokens=4, text_tokens=4, output_tokens=2)


def _experts(number: int = 4, active: int = 2) -> Experts:
    return Experts(torch.randn(number, 8), torch.randn(number, 6, 8), torch.randn(number, 8, 3), active)


def test_a_token_gets_the_weighted_answers_of_its_experts() -> None:
    """Token by token, expert by expert: the slow twin."""
    e, h = _experts(), torch.randn(5, 8)
    slow = []
    for x in h:
        p = torch.softmax(e.router @ x, dim=-1)
        best = p.topk(2).indices.tolist()
        slow.append(sum(p[i] / p[best].sum() * (e.down[i] @ gated((e.up[i] @ x)[None])[0]) for i in best))
    assert torch.allclose(experts.mixed(h, e, gated), torch.stack(slow), atol=1e-5)  # type: ignore[arg-type]


def test_the_grouped_product_of_a_board_gives_the_twins_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call that only a GPU makes: weights transposed, ends as 32-bit integers."""

    class OnBoard:
        """Rows that say they are on a board."""

        is_cuda = True

        def __init__(self, inner: Any) -> None:
            self.inner = inner

    def multiply(x: Any, weights: Any, *, offs: Any) -> Any:
        assert offs.dtype is torch.int32
        edges = [0, *offs.tolist()]
        return torch.cat([x.inner[a:b] @ w for (a, b), w in zip(pairwise(edges), weights, strict=True)])

    monkeypatch.setattr(torch, "_grouped_mm", multiply)
    x, weights, ends = torch.randn(5, 8), torch.randn(3, 4, 8), torch.tensor([2, 2, 5], dtype=torch.int32)
    assert torch.allclose(experts.grouped(OnBoard(x), weights, ends), experts.grouped(x, weights, ends))  # type: ignore[arg-type]


def test_a_session_with_experts_keeps_tokens_in_lanes() -> None:
    """The whole server with a mixture: micro-batches and lanes change no token."""
    server = Server(shape=shapes.shape("tiny_experts"), load=LOAD, device=device.find("cpu"))
    base = Switched()
    server.prepare(base)
    expected = server.run(base).tokens.tolist()
    for name in ("layer_placement", "attention_ffn", "kv_restore"):
        on = switches.alone(f"{switches.TECHNIQUES[name].layer}/{name}")
        server.prepare(on)
        assert server.run(on).tokens.tolist() == expected


def test_what_a_step_reads_of_a_mixture_by_hand() -> None:
    """8 experts, 2 a token: one token reads 2 of them, many tokens all; a dense shape reads itself."""
    tiny, dense = shapes.shape("tiny_experts"), shapes.shape("tiny")
    each = 4 * 3 * 64 * 32
    assert tiny.linear_parameters - tiny.active_parameters == 6 * each
    assert tiny.read_parameters(1) == tiny.active_parameters
    assert tiny.read_parameters(1000) == tiny.linear_parameters
    assert dense.read_parameters(1) == dense.active_parameters == dense.linear_parameters
