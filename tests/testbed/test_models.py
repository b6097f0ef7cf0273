"""Which model serves: profiles, and what is refused with what was expected and where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from deltastack.errors import CapacityError, ParamsError, PreflightError
from deltastack.model import Component, Resource
from deltastack.testbed import settings
from deltastack.testbed.vlm import models, requests
from deltastack.testbed.vlm.device import Cpu
from deltastack.testbed.vlm.served_model import Kind
from tests.testbed import tiny

if TYPE_CHECKING:
    from deltastack.testbed.settings import Testbed

ROOT = Path(__file__).parents[2]
SMALL = {
    "hidden": 32, "layers": 1, "heads": 2, "vocabulary": 64,
    "vision_hidden": 32, "vision_layers": 1, "vision_heads": 2, "image": 32, "patch": 8,
}  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def chosen(**changes: Any) -> Testbed:
    """The shipped params with a small host, and ``changes``."""
    shipped = settings.load(ROOT).model_dump()
    session = {"batches": 3, "batch": 2, "text_tokens": 6, "new_tokens": 3, "mean_gap_s": 1.0, "seed": 1}
    return settings.Testbed.model_validate({**shipped, "hosts": {"small": SMALL}, "size": "small", "session": session, **changes})


class FakeAccelerator:
    """A device layer without a device: tensors stay, and every transfer and synchronisation is counted."""

    name = "fake accelerator"
    waits = True

    def __init__(self) -> None:
        """Nothing happened yet."""
        self.placed, self.synchronised = 0, 0

    def place(self, tensor: torch.Tensor) -> torch.Tensor:
        """Count it."""
        self.placed += 1
        return tensor.clone()

    def synchronise(self) -> None:
        """Count it."""
        self.synchronised += 1


@pytest.mark.parametrize("family", tiny.FAMILIES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_sized_model_serves_a_session_of_every_family(family: str, dtype: str, tmp_path: Path) -> None:
    """Two image batches and one text batch are served; the weights' bytes are read, in the dtype of the params."""
    p = chosen(family=family, dtype=dtype)
    engine = models.engine(tmp_path, p)
    session = requests.batches(engine.host, p.session, text_share=0.4, trained=False)

    outcome = engine.run(session)

    assert sorted(b.kind for b in session) == [Kind.IMAGE, Kind.IMAGE, Kind.TEXT]
    assert [tuple(s.tokens.shape) for s in outcome.served] == [(2, 3)] * 3
    weights = sum(w.numel() for w in models.shapes.build(p.family, p.hosts["small"], 1).parameters())
    assert outcome.asked_byte == weights * (4 if dtype == "float32" else 2)


def test_the_same_session_twice_is_the_same_session(tmp_path: Path) -> None:
    """Requests and tokens depend on params alone."""
    p = chosen()
    engine = models.engine(tmp_path, p)

    first, again = (requests.batches(engine.host, p.session, text_share=0.5, trained=False) for _ in range(2))
    tokens = [[s.tokens for s in models.engine(tmp_path, p).run(b).served] for b in (first, again)]

    assert all(torch.equal(a, b) for a, b in zip(*tokens, strict=True))
    assert [b.gap_s for b in first] == [b.gap_s for b in again]


@pytest.mark.parametrize(("share", "text"), [(0.0, 0), (0.01, 1), (0.52, 2), (0.99, 2), (1.0, 3)])
def test_shares_are_rounded_but_never_lose_a_kind(share: float, text: int, tmp_path: Path) -> None:
    """With three batches a share of 1 % is one text batch, 99 % two; 0 and 1 are kept exactly."""
    engine = models.engine(tmp_path, chosen())

    session = requests.batches(engine.host, chosen().session, text_share=share, trained=False)

    assert sum(b.kind is Kind.TEXT for b in session) == text


def test_one_code_path_for_every_device(tmp_path: Path) -> None:
    """On a fake accelerator the tokens are the same, every weight is placed once, and clocks are read after waiting."""
    on_cpu, fake = tiny.engine("llava", tmp_path), FakeAccelerator()
    on_fake = tiny.engine("llava", tmp_path, fake)

    a, b = on_cpu.run(tiny.session(on_cpu)), on_fake.run(tiny.session(on_fake))

    assert all(torch.equal(x.tokens, y.tokens) for x, y in zip(a.served, b.served, strict=True))
    assert fake.placed >= len(dict(tiny.model("llava").named_parameters()))
    assert fake.synchronised > 10
    assert isinstance(on_cpu.device, Cpu)
    assert b.total(Resource.TIME_S) == pytest.approx(b.wall_s, rel=0.02)
    assert b.amounts[Component.ENCODER][Resource.TIME_S] > 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none_is_refused(tmp_path: Path) -> None:
    """The message says what was asked, what was found, and what to set."""
    with pytest.raises(PreflightError, match=r"no CUDA device; set device: cpu in params/testbed\.yaml"):
        models.engine(tmp_path, chosen(device="cuda"))


@pytest.mark.parametrize("family", ["qwen3_vl", "llava"])
def test_a_local_checkpoint_is_served(family: str, tmp_path: Path) -> None:
    """A saved tiny model gives the same tokens through from_pretrained as in memory."""
    tiny.model(family).save_pretrained(tmp_path / "saved")
    p = chosen(profile="checkpoint", checkpoint="saved")
    engine, direct = models.engine(tmp_path, p), tiny.engine(family, tmp_path)
    session = requests.batches(engine.host, p.session, text_share=0.5, trained=False)

    a, b = engine.run(session), direct.run(session)

    assert all(torch.equal(x.tokens, y.tokens) for x, y in zip(a.served, b.served, strict=True))


@pytest.mark.parametrize("known", [True, False])
def test_code_of_a_checkpoint_is_never_run(known: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a case
    """``auto_map`` names a module beside the weights, for a family that is known here and for one that is not."""
    tiny.model("llava").save_pretrained(tmp_path / "saved")
    path = tmp_path / "saved" / "config.json"
    mapped = {"AutoConfig": "mine.Config", "AutoModelForImageTextToText": "mine.Model"}
    content = json.loads(path.read_text()) | {"auto_map": mapped} | ({} if known else {"model_type": "nobodys"})
    path.write_text(json.dumps(content))
    (tmp_path / "saved" / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Config: ...\nclass Model: ...\n")

    if known:
        models.engine(tmp_path, chosen(profile="checkpoint", checkpoint="saved"))
    else:
        with pytest.raises(ParamsError, match="cannot be read"):
            models.engine(tmp_path, chosen(profile="checkpoint", checkpoint="saved"))
    assert not (tmp_path / "ran").exists()


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    """The message names the folder, what was wanted and what is there."""
    with pytest.raises(ParamsError, match=r"no checkpoint at .*nowhere: wanted config.json .* found no such folder"):
        models.engine(tmp_path, chosen(profile="checkpoint", checkpoint="nowhere"))
    with pytest.raises(ParamsError, match=r"no checkpoint at .*trained.safetensors: .* dvc repro checkpoint"):
        models.engine(tmp_path, chosen(profile="trained"))


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    """A file cut in half is named with its size."""
    tiny.model("llava").save_pretrained(tmp_path / "saved")
    whole = tmp_path / "saved" / "model.safetensors"
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

    with pytest.raises(ParamsError, match=r"checkpoint at .*saved cannot be read .* copy it again"):
        models.engine(tmp_path, chosen(profile="checkpoint", checkpoint="saved"))
    with pytest.raises(ParamsError, match=r"model.safetensors is no whole safetensors file \(\d+ bytes"):
        models.read_weights(whole)


def test_another_class_is_refused(tmp_path: Path) -> None:
    """A text-only model is named, with the classes that are served."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, head_dim=16
    )
    Qwen3ForCausalLM(config).save_pretrained(tmp_path / "text")

    with pytest.raises(ParamsError, match="is a Qwen3ForCausalLM; the testbed serves LLaVA, Qwen3-VL and SmolVLM"):
        models.engine(tmp_path, chosen(profile="checkpoint", checkpoint="text"))


def test_a_model_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    """Both a sized model and a checkpoint on disk are refused before they are loaded, with sizes."""
    tiny.model("llava").save_pretrained(tmp_path / "saved")
    limits = {"memory_bytes": 1000.0}

    for p in (chosen(limits=limits), chosen(limits=limits, profile="checkpoint", checkpoint="saved")):
        with pytest.raises(CapacityError, match=r"limits\.memory_bytes in params/testbed\.yaml allows 0\.00 GB"):
            models.engine(tmp_path, p)


def test_weights_of_another_shape_are_refused() -> None:
    """The first tensors that differ are named, and how to train anew."""
    with pytest.raises(ParamsError, match=r"somewhere does not fit `trained.shape`.*tensors differ.*make checkpoint"):
        models.filled(chosen(), {"a": torch.zeros(2)}, "somewhere")
