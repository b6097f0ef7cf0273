"""The accelerator's model on a processor: every switch at small size, products by hand, lanes with fakes of streams."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from deltastack.accelerator import device, shapes, switches
from deltastack.accelerator.lanes import Lanes
from deltastack.accelerator.linear import Linear
from deltastack.accelerator.session import Server, parts
from deltastack.accelerator.settings import Arithmetic, Load, Switched
from deltastack.accelerator.sparse import halved
from deltastack.errors import PreflightError, UnknownNameError

LOAD = Load(requests=6, image_tokens=8, text_tokens=8, output_tokens=4)
SWITCHES = {
    **{f"{t.layer}/{name}": t.exactness for name, t in switches.TECHNIQUES.items()},
    **{f"mechanism/{name}": "token" for name in switches.MECHANISMS},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A tiny model on this processor."""
    folder = tmp_path_factory.mktemp("kept")
    return Server(shape=shapes.shape("tiny"), load=LOAD, device=device.find("cpu"), folder=folder)


@pytest.mark.parametrize("cell", [c for c, exactness in SWITCHES.items() if exactness == "token"])
def test_a_switch_that_promises_tokens_keeps_them(server: Server, cell: str) -> None:
    """Every token of every request is the base's; phases are timed."""
    base, on = Switched(), switches.alone(cell)
    for one in (base, on):
        server.prepare(one)
    server.ready(base)
    expected = server.run(base)
    server.ready(on)
    found = server.run(on)
    server.ready(base)
    assert found.tokens.tolist() == expected.tokens.tolist()
    there = found.first >= 0
    assert found.first[there].tolist() == expected.first[there].tolist()
    assert set(found.seconds) == {"restore", "encode", "prefill", "decode"}
    assert found.total_s == pytest.approx(sum(found.seconds.values()))


@pytest.mark.parametrize("cell", [c for c, exactness in SWITCHES.items() if exactness == "approximate"])
def test_an_approximate_switch_changes_numbers_and_little_else(server: Server, cell: str) -> None:
    """Logits differ from the base's, and most of their direction stays."""
    arithmetic = switches.alone(cell).arithmetic
    if arithmetic is Arithmetic.DENSE:
        assert switches.alone(cell).kv8  # a test of its own
        return
    layer = server.decoder.layers[0].linear["up"]
    x = torch.randn(5, server.shape.hidden)
    exact, found = layer(x, Arithmetic.DENSE), layer(x, arithmetic)
    assert not torch.equal(exact, found)
    least = 0.8 if "sparse" in arithmetic else 0.995
    assert torch.nn.functional.cosine_similarity(exact.flatten(), found.flatten(), dim=0) > least
    server.prepare(switches.alone(cell))
    assert server.run(switches.alone(cell)).tokens.shape == (LOAD.requests,)


def test_all_layers_together_answer_as_their_arithmetic_alone(server: Server) -> None:
    """Of requests that are not restored the first token is that of fp8 alone: the other layers change no number."""
    alone, together = switches.alone("instruction_set/fp8_tensor"), switches.layer_cell(switches.LAYERS)
    assert together.lanes == 4
    for one in (alone, together):
        server.prepare(one)
    expected, found = server.run(alone).first, server.run(together).first
    there = found >= 0
    assert found[there].tolist() == expected[there].tolist()
    assert 0 < int(there.sum()) < LOAD.requests


def test_restored_requests_are_not_prefilled(server: Server) -> None:
    """Half of each group: no first token is computed for them."""
    on = switches.alone("storage/kv_restore")
    server.prepare(on)
    assert (server.run(on).first < 0).tolist() == [True, False, False, True, False, False]


def test_two_of_four_by_hand() -> None:
    """The two largest of each four stay, whatever their sign."""
    weight = torch.tensor([[1.0, -4.0, 3.0, 2.0, 0.0, 0.5, -0.1, 0.2]])
    assert halved(weight).tolist() == [[0.0, -4.0, 3.0, 0.0, 0.0, 0.5, 0.0, pytest.approx(0.2)]]


def test_eight_bits_by_hand() -> None:
    """(1, 127) over 127 a unit each times (2, 254) over 2 a unit: exact; one token and one channel."""
    product = Linear(torch.tensor([[2.0, 254.0]]))
    assert product(torch.tensor([[1.0, 127.0]]), Arithmetic.INT8).item() == pytest.approx(2.0 + 127 * 254)


def test_a_static_scale_saturates_what_is_larger_than_at_first() -> None:
    """The first call's largest number is 1; a later 4 becomes 1."""
    product = Linear(torch.ones(1, 2))
    assert product(torch.tensor([[1.0, 0.0]]), Arithmetic.FP8_TENSOR).item() == pytest.approx(1.0)
    assert product(torch.tensor([[4.0, 0.0]]), Arithmetic.FP8_TENSOR).item() == pytest.approx(1.0)
    assert product(torch.tensor([[4.0, 0.0]]), Arithmetic.FP8_ROW).item() == pytest.approx(4.0)


def test_parts_cover_a_batch_once() -> None:
    """Neighbours without a gap, as equal as can be."""
    for count in range(9):
        found = parts(count, 2)
        assert [i for a, n in found for i in range(a, a + n)] == list(range(count))
        assert abs(found[0][1] - found[1][1]) <= 1


def test_the_bytes_of_a_step_by_hand() -> None:
    """Tiny: a layer has 64 x 8 x 16 + 64 x 64 + 3 x 64 x 128 weights, the head 128 x 64; keys and values take two bytes."""
    tiny = shapes.shape("tiny")
    assert tiny.linear_parameters == 4 * (64 * 128 + 64 * 64 + 3 * 64 * 128) + 128 * 64
    assert tiny.kv_byte(10) == 2 * 4 * 2 * 16 * 10 * 2


def test_names_that_do_not_exist_are_refused() -> None:
    """The message lists what there is; no GPU is said plainly."""
    with pytest.raises(UnknownNameError, match="qwen3_vl_8b"):
        shapes.shape("gpt")
    with pytest.raises(UnknownNameError, match="storage/kv_restore"):
        switches.alone("storage/int8")
    with pytest.raises(PreflightError, match="cuda, cpu"):
        device.find("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(PreflightError, match="--device cpu"):
            device.find("cuda")


def test_lanes_give_what_one_lane_gives_and_join(fakes: Any) -> None:
    """Each micro-batch sees its steps in order, each step in its lane; at the end the main stream waits for every lane."""
    seen: list[tuple[int, str, int]] = []

    def do(step: int, state: int) -> int:
        seen.append((state, fakes.now, step))
        return 10 * state + step

    one = Lanes(cuda=False).run([1, 2], 3, lambda _: 0, lambda step, state: 10 * state + step)
    found = Lanes(cuda=True).run([1, 2], 3, lambda step: step % 2, do)
    assert found == one == [1012, 2012]
    assert {name for _, name, step in seen if step % 2 == 0} == {"lane 1"}
    assert {name for _, name, step in seen if step % 2} == {"lane 2"}
    assert fakes.waits["lane 2"] >= {"main", "lane 1"}
    assert fakes.waits["main"] == {"lane 1", "lane 2", "lane 3", "lane 4"}


def test_a_captured_step_is_warmed_up_aside_and_replayed(fakes: Any) -> None:
    """Two calls on a side stream, one captured, then replays only."""
    where: list[str] = []
    step = device.Device("cuda").captured(lambda: where.append(fakes.now))
    assert where == ["lane 1", "lane 1", "capture"]
    step()
    step()
    assert (len(where), fakes.replays) == (3, 2)


def test_products_of_a_board_are_called_with_their_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call that only a GPU makes, with a stand-in that multiplies as the GPU would: the same numbers as the twin's."""
    from deltastack.accelerator import linear

    def scaled(a: Any, b: Any, **words: Any) -> Any:
        assert words["use_fast_accum"]
        assert b.stride() == (1, b.shape[0])
        return ((a.float() @ b.float()) * words["scale_a"] * words["scale_b"]).to(words["out_dtype"])

    class OnBoard:
        """A tensor that says it is on a board."""

        is_cuda = True

        def __init__(self, inner: Any) -> None:
            self.inner = inner

    weight, x = torch.randn(8, 16), torch.randn(4, 16)
    product = Linear(weight)
    twin = product(x, Arithmetic.FP8_ROW)
    form, scale = product._forms[Arithmetic.FP8_ROW]
    small, own = linear.by_row(x, torch.ones(()))
    monkeypatch.setattr(torch, "_scaled_mm", lambda a, b, **words: scaled(a.inner, b, **words))
    found = linear._fp8(OnBoard(small), own, form, scale, x.dtype)  # type: ignore[arg-type]
    assert torch.allclose(found, twin)
