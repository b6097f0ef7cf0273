"""What only a GPU runs, with stand-ins: sessions on lanes and graphs, partitions, sparse kernels, watts, cells that fail."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

import pytest
import torch

from deltastack.accelerator import (
    attention,
    clusters,
    cold,
    device,
    idle,
    lanes,
    partitions,
    runner,
    shapes,
    sparse,
    store,
    switches,
)
from deltastack.accelerator.decoder import add_norm, gated
from deltastack.accelerator.linear import PACKERS, Linear
from deltastack.accelerator.session import Server
from deltastack.accelerator.settings import Arithmetic, Load, Switched
from deltastack.errors import PreflightError
from deltastack.experiment.meter import Quantity
from deltastack.experiment.plan import Kind, Slot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOAD = Load(requests=4, image_tokens=4, text_tokens=4, output_tokens=2)


class BoardTwin(device.Device):
    """A device that says it is a GPU: every branch for one is taken, numbers stay on the processor."""

    @property
    def cuda(self) -> bool:
        """So it says."""
        return True

    @property
    def dtype(self) -> torch.dtype:
        """As on a processor, so that tokens can be compared."""
        return torch.float32

    def memory_byte(self) -> float | None:
        """None is held."""
        return 0.0

    def forget_peak(self) -> None:
        """Nothing to forget."""

    def pinned(self, tensor: Any) -> Any:
        """A plain copy."""
        return tensor.clone()

    def captured(self, step: Callable[[], Any], stream: Any = None) -> Callable[[], None]:
        """Captured as on a GPU; a replay runs the step again."""
        replay = super().captured(step, stream)

        def again() -> None:
            replay()
            step()

        return again


@pytest.mark.parametrize("name", [n for n, t in switches.TECHNIQUES.items() if t.exactness == "token"])
def test_the_paths_of_a_gpu_keep_tokens(fakes: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """Streams, graphs, partitions and pinned memory are stand-ins; what is computed is not."""
    monkeypatch.setattr(partitions, "streams", lambda: [fakes.Stream(), fakes.Stream()])
    monkeypatch.setattr(store, "BUFFER_BYTE", 4096)
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *a, pin_memory=False, **k: empty(*a, **k) if pin_memory in {True, False} else None)
    server = Server(shape=shapes.shape("tiny"), load=LOAD, device=BoardTwin("cpu"), folder=tmp_path)
    base, on = Switched(), switches.alone(f"{switches.TECHNIQUES[name].layer}/{name}")
    for one in (base, on):
        server.prepare(one)
    server.ready(base)
    expected = server.run(base)
    server.ready(on)
    assert server.run(on).tokens.tolist() == expected.tokens.tolist()
    assert fakes.replays >= 2 * LOAD.output_tokens
    server.release()
    assert not list(tmp_path.iterdir())


def test_states_are_held_until_their_reader_is_done() -> None:
    """Attention and feed-forward in two lanes: two or three states a micro-batch are held, however many layers there are."""
    held = lanes.Held(["a", "b"])
    most = 0
    for m, i in lanes.order(2, [0, 1] * 20):
        held.reached(m, i % 2)
        held.made(m, i % 2, (m, i))
        assert [s for _, s in held._by[m]][-2:] == [(m, i - 1), (m, i)][-len(held._by[m]) :]  # who reads i - 1 may still run
        most = max(most, held.number)
    assert most <= 6


def test_halves_form_a_pipeline() -> None:
    """While micro-batch 0 is in the upper half, micro-batch 1 is in the lower."""
    found = lanes.order(2, [0] * 4 + [1] * 4)
    assert sorted(found) == [(m, i) for m in range(2) for i in range(8)]
    assert found.index((0, 4)) < found.index((1, 0)) < found.index((0, 7)) < found.index((1, 4))


class FakeDriver:
    """A driver whose board has 132 SMs and splits them in eights; it writes down what it is asked."""

    def __init__(self, refuses: str = "") -> None:
        """Refuse one call with error 801."""
        self.refuses, self.asked = refuses, list[str]()

    def __getattr__(self, name: str) -> Callable[..., int]:
        """Every function of the driver."""
        if name == "cuGreenCtxStreamCreate" and self.refuses == "absent":
            raise AttributeError(name)

        def call(*words: Any) -> int:
            self.asked.append(name)
            if name == "cuDeviceGetDevResource":
                _count(words[1], 132)
            if name == "cuDevSmResourceSplitByCount":
                first = -(-words[5].value // 8) * 8
                _count(words[0], first)
                _count(words[3], 132 - first)
            return 801 if name == self.refuses else 0

        return call


def _count(resource: Any, number: int) -> None:
    ctypes.memmove(ctypes.addressof(resource) + 96, number.to_bytes(4, "little"), 4)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeDriver], FakeDriver]:
    """The stand-in in place of the driver's library."""
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "ExternalStream", lambda pointer: ("stream", pointer))

    def use(found: FakeDriver) -> FakeDriver:
        monkeypatch.setattr(partitions, "library", lambda: found)
        return found

    return use


def test_a_board_is_split_once_into_two(driver: Callable[[FakeDriver], FakeDriver]) -> None:
    """One split, two contexts, a stream each."""
    found = driver(FakeDriver())
    assert len(partitions.streams()) == 2
    assert found.asked.count("cuDevSmResourceSplitByCount") == 1
    assert found.asked.count("cuGreenCtxCreate") == found.asked.count("cuGreenCtxStreamCreate") == 2


@pytest.mark.parametrize(("refuses", "said"), [("cuGreenCtxCreate", "error 801"), ("absent", "has no cuGreenCtxStreamCreate")])
def test_a_driver_without_partitions_is_named(driver: Callable[[FakeDriver], FakeDriver], refuses: str, said: str) -> None:
    """Which call failed, and how."""
    driver(FakeDriver(refuses))
    with pytest.raises(PreflightError, match=said):
        partitions.streams()


class OnBoard(torch.Tensor):
    """A tensor that says it is on a board."""

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        """So it says."""
        return True


@pytest.mark.parametrize("arithmetic", [Arithmetic.SPARSE_24, Arithmetic.SPARSE_FP8])
def test_sparse_products_of_a_board_give_the_twins_numbers(monkeypatch: pytest.MonkeyPatch, arithmetic: Arithmetic) -> None:
    """The library's calls with a stand-in: rows padded to 16, the answer transposed back, the quicker algorithm kept."""
    seen: list[tuple[int, int]] = []

    def multiply(held: Any, b: Any, *, out_dtype: Any, transpose_result: bool, alg_id: int) -> Any:
        assert transpose_result
        assert b.stride()[0] == 1
        assert (out_dtype is None) == (held.dtype is torch.float32)
        seen.append((b.shape[1], alg_id))
        return (b.t().float() @ held.float().t()).to(out_dtype or held.dtype)

    weight, x = torch.randn(32, 64), torch.randn(5, 64)
    twin = Linear(weight)(x, arithmetic)
    monkeypatch.setattr(torch, "_cslt_compress", lambda w: w.as_subclass(torch.Tensor))
    monkeypatch.setattr(torch, "_cslt_sparse_mm", multiply)
    monkeypatch.setattr(torch, "_cslt_sparse_mm_search", lambda *_, **__: 3)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(sparse.Sparse, "_seconds", lambda *a: {0: 2.0, 3: 1.0}[a[-1]])
    monkeypatch.setattr(sparse, "_FASTEST", {})
    product = Linear(weight.as_subclass(OnBoard))
    assert torch.allclose(torch.Tensor(product(x, arithmetic)), twin, atol=1e-4)
    assert seen == [(16, 3)]


def test_a_failing_search_keeps_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library without a search is used with its own choice."""

    def fails(*_: Any, **__: Any) -> int:
        raise RuntimeError("no search")

    monkeypatch.setattr(torch, "_cslt_sparse_mm_search", fails)
    assert sparse.Sparse(torch.zeros(4, 4))._search(torch.zeros(16, 4), torch.float32) == 0


@pytest.mark.parametrize("arithmetic", list(Arithmetic))
def test_a_fused_cluster_gives_what_its_parts_give(arithmetic: Arithmetic) -> None:
    """Function and packing in one, and one after the other: the same bits."""
    x, weight, scale = torch.randn(3, 16), torch.ones(16), torch.tensor(0.01)
    pack = PACKERS[arithmetic]
    packed, own, total = clusters.fused(add_norm, pack)(scale, x, x, weight)
    h, expected = add_norm(x, x, weight)
    assert torch.equal(total, expected)
    assert torch.equal(packed.float(), pack(h, scale)[0].float())
    assert torch.equal(own, pack(h, scale)[1])
    assert torch.equal(clusters.fused(gated, pack)(scale, x)[0].float(), pack(gated(x), scale)[0].float())


@pytest.mark.parametrize("kernel", list(attention.KERNELS.values()))
def test_attention_by_equations_is_attention(kernel: Callable[..., Any]) -> None:
    """Against the library's, with two queries a key; keys in e4m3 are near."""
    q = torch.nn.functional.normalize(torch.randn(3, 4, 8), dim=-1) * 8**0.5
    keys = torch.nn.functional.normalize(torch.randn(3, 5, 2, 8), dim=-1) * 8**0.5
    values = torch.randn(3, 5, 2, 8)
    asked, k, v = q[:, :, None], keys.transpose(1, 2), values.transpose(1, 2)
    expected = torch.nn.functional.scaled_dot_product_attention(asked, k, v, enable_gqa=True)[:, :, 0]
    assert torch.allclose(kernel(q, keys, values), expected, atol=1e-5)
    small = kernel(q, keys.to(torch.float8_e4m3fn), values.to(torch.float8_e4m3fn))
    assert not torch.equal(small, expected)
    assert torch.nn.functional.cosine_similarity(small.flatten(), expected.flatten(), dim=0) > 0.99


@pytest.mark.parametrize("cell", cold.CELLS)
def test_a_cold_start_brings_the_files_bytes(tmp_path: Path, cell: str) -> None:
    """Every way gives the same bytes; the last buffer is not full."""
    found = cold.ColdStart(device.find("cpu"), tmp_path / "weights.bin", 5 * 4096 + 17, buffer_byte=2 * 4096)
    found.prepare()
    try:
        loaded = found.load(cell)
    except OSError:
        assert cell == cold.DIRECT  # this file system takes no direct reads: on the bench a null with its reason
        return
    assert bytes(loaded.numpy()) == (tmp_path / "weights.bin").read_bytes()
    found.remove()
    assert not list(tmp_path.iterdir())


def test_a_short_file_is_refused(tmp_path: Path) -> None:
    """A file that was cut is no cold start."""
    (tmp_path / "x").write_bytes(b"1234")
    with pytest.raises(OSError, match="4 bytes long, wanted 8"):
        store.into_device(
            tmp_path / "x", torch.empty(8, dtype=torch.uint8), [torch.empty(4, dtype=torch.uint8)], device.find("cpu")
        )


class StepBoard:
    """A counter that moves at each look: 1 J a look while weights are held, less later."""

    def __init__(self) -> None:
        """Nothing taken yet."""
        self.mj, self.each = 0, 1000

    def energy_mj(self) -> int:
        """One look further."""
        self.mj += self.each
        return self.mj

    def state(self) -> tuple[float, int]:
        """Idle watts come from the counter of joules alone."""
        pytest.fail("clocks were asked")


def test_watts_are_read_in_every_state() -> None:
    """A real process holds the bytes and ends when told; three windows a state; waking up is timed."""
    found = idle.observe("cpu", 1024, StepBoard(), None, wait=lambda _: None)
    assert found.reason is None
    assert {state: len(w) for state, w in found.watts.items()} == dict.fromkeys(idle.STATES, 3)
    assert set(found.wake_s) == {"process_s", "context_s", "weights_s"}
    assert idle.observe("cpu", 1024, None, "no board").reason == "no board"


def test_idle_is_observed_once(tmp_path: Path) -> None:
    """A command that goes on reads what it wrote."""
    first = idle.once(tmp_path / "a" / "idle.json", lambda: idle.Idle(watts={"context_ended": [1.0]}))
    assert idle.once(tmp_path / "a" / "idle.json", lambda: pytest.fail("asked again")) == first


def _slot(cell: str) -> Slot:
    return Slot(start=0, block=0, position=0, cell=cell, kind=Kind.RUN)


def _runner(tmp_path: Path) -> runner.Runner:
    from deltastack.accelerator import bench

    server = Server(shape=shapes.shape("tiny"), load=LOAD, device=device.find("cpu"), folder=tmp_path)
    return runner.Runner(server, runner.Marks(tmp_path), bench.switched)


def test_a_cell_that_fails_is_a_null_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Preparing int8 fails: the base is measured, int8 is null, and the next process start leaves it out at once."""
    found = _runner(tmp_path)
    real = Server.prepare

    def prepare(self: Server, on: Switched) -> None:
        if on.arithmetic is Arithmetic.INT8:
            raise RuntimeError("no kernel for int8\nmore")
        real(self, on)

    monkeypatch.setattr(Server, "prepare", prepare)
    found.prepare(("base", "instruction_set/int8"))
    found.settle()
    null, base = found(_slot("instruction_set/int8")), found(_slot("base"))
    assert null.readings[Quantity.WALL_S].value is None
    assert null.readings[Quantity.WALL_S].reason == "RuntimeError: no kernel for int8"
    assert (base.readings[Quantity.WALL_S].value or 0) > 0
    monkeypatch.setattr(Server, "prepare", real)
    again = _runner(tmp_path)
    again.prepare(("base", "instruction_set/int8"))
    assert again._failed == {"instruction_set/int8": "RuntimeError: no kernel for int8"}


def test_a_lost_device_ends_the_process_and_blames_its_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an error that the device does not survive the process goes too; its mark names the cell."""
    found = _runner(tmp_path)
    monkeypatch.setattr(device.Device, "healthy", lambda _: False)

    def fails(*_: Any) -> None:
        raise RuntimeError("illegal memory access")

    monkeypatch.setattr(Server, "prepare", fails)
    with pytest.raises(RuntimeError, match="illegal"):
        found.prepare(("instruction_set/int8",))
    marks = runner.Marks(tmp_path)
    assert marks.blame("lost") == "instruction_set/int8"
    assert marks.failed() == {"instruction_set/int8": "lost"}
    assert marks.blame("lost") is None


def test_the_encoder_leaves_and_comes_back(tmp_path: Path) -> None:
    """Given back it holds no weights; back again it gives the same tokens."""
    server = Server(shape=shapes.shape("tiny"), load=LOAD, device=device.find("cpu"), folder=tmp_path)
    before = server.encoder(server._images)
    server.encoder.leave()  # no copy is kept: it stays
    server.encoder.keep()
    server.encoder.leave()
    with pytest.raises(RuntimeError, match="given back"):
        server.encoder(server._images)
    server.encoder.come_back()
    assert torch.equal(server.encoder(server._images), before)
