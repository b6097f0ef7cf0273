"""A session on every family of hosts: same answers as plain Transformers, cold start, and nothing left behind."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
import torch

from deltastack.errors import EvidenceError, OutOfValidityError
from deltastack.model import Component, Resource
from deltastack.testbed.vlm.serving import Rank, Ranked
from tests.testbed import tiny

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deltastack.testbed.vlm.served_model import Host
    from deltastack.testbed.vlm.serving import Tensors

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_tokens_equal_plain_generation(family: str, tmp_path: Path) -> None:
    """The engine's tokens are those of Transformers' own greedy generate on the same weights."""
    engine = tiny.engine(family, tmp_path)
    image, text, _ = tiny.session(engine)
    plain = tiny.model(family).eval()
    pixels = engine.host.adapter.pixels(image.images)
    more = {"mm_token_type_ids": (image.prompts == tiny.IMAGE_TOKEN).int()} if family == "qwen3_vl" else {}

    outcome = engine.run((image, text))

    for served, batch, given in zip(outcome.served, (image, text), ({**pixels, **more}, {}), strict=True):
        mask = torch.ones_like(batch.prompts)
        ids = plain.generate(
            batch.prompts, attention_mask=mask, do_sample=False, max_new_tokens=4, min_new_tokens=4, pad_token_id=0, **given
        )
        assert torch.equal(served.tokens, ids[:, -4:])


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_components_add_up_and_the_start_is_cold(family: str, tmp_path: Path) -> None:
    """Times of components sum to the session's clock within 2 %; no page of the file was cached; all of it was read."""
    engine = tiny.engine(family, tmp_path)

    outcome = engine.run(tiny.session(engine))

    assert outcome.total(Resource.TIME_S) == pytest.approx(outcome.wall_s, rel=0.02)
    assert outcome.total(Resource.CPU_S) == pytest.approx(outcome.cpu_s, rel=0.02, abs=0.002)
    assert outcome.cached_byte_before == 0
    assert outcome.asked_byte == sum(p.numel() * 4 for p in tiny.model(family).parameters())
    assert set(outcome.amounts) == set(Component) - {Component.PREFILL, Component.DECODE}
    assert Resource.TIME_S not in outcome.amounts[Component.IDLE]


def test_idle_memory_by_hand(tmp_path: Path) -> None:
    """Three gaps of 1 s hold all weights: 3 s x the file's bytes. Unloading after 0.25 s holds the encoder less long."""
    engine = tiny.engine("llava", tmp_path)
    batches = tiny.session(engine)

    held = engine.run(batches)
    with engine.override("unload_encoder_after_s", 0.25, by="unload"):
        slept = engine.run(batches)

    whole = held.asked_byte
    encoder = sum(p.numel() * 4 for m in engine_parts(tiny.model("llava")) for p in m.parameters())
    assert held.amounts[Component.IDLE][Resource.MEMORY_BYTE_S] == pytest.approx(3 * whole)
    # gap 1 and 3: released after 0.25 s; gap 2: woken for the first image, released again after 0.25 s
    assert slept.amounts[Component.IDLE][Resource.MEMORY_BYTE_S] == pytest.approx(3 * whole - encoder * (0.75 + 0.75 + 1.0))
    assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(held.served, slept.served, strict=True))


def engine_parts(model: torch.nn.Module) -> tuple[torch.nn.Module, ...]:
    """Vision tower and projector of a LLaVA."""
    return model.model.vision_tower, model.model.multi_modal_projector


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_blank_images_for_text_cost_encoder_time_and_change_nothing(family: str, tmp_path: Path) -> None:
    """A server with a fixed graph gives the same tokens, and its text-only session has encoder time."""
    engine = tiny.engine(family, tmp_path)
    _, text, _ = tiny.session(engine)

    fair = engine.run((text,))
    with engine.override("encode_text", value=True, by="fixed graph"):
        fixed = engine.run((text,))

    assert torch.equal(fair.served[0].tokens, fixed.served[0].tokens)
    assert Component.ENCODER not in {c for c, v in fair.amounts.items() if Resource.TIME_S in v}
    assert fixed.amounts[Component.ENCODER][Resource.TIME_S] > 0


def test_a_change_is_entered_after_the_load_and_reverted(tmp_path: Path) -> None:
    """Halving every FFN output projection changes the logits inside, and not after."""
    engine = tiny.engine("llava", tmp_path)
    batches = tiny.session(engine)
    before = engine.run(batches)

    @contextlib.contextmanager
    def halve(host: Host, spare: Tensors) -> Iterator[None]:
        assert not spare
        sites = [s for s in host.sites(Component.FFN) if s.name == "down_proj"]
        for s in sites:
            s.module.weight.data = s.module.weight * 0.5
        yield

    with engine.register("changes", "halve", Ranked(Rank.WEIGHTS, "halve", halve)):
        changed = engine.run(batches)
    after = engine.run(batches)

    assert not torch.equal(before.served[0].logits, changed.served[0].logits)
    assert all(torch.equal(a.logits, b.logits) for a, b in zip(before.served, after.served, strict=True))


def test_two_techniques_cannot_hold_one_value(tmp_path: Path) -> None:
    """The second is refused by name; shared holders of one name are not; everything is back at exit."""
    engine = tiny.engine("llava", tmp_path)

    with engine.override("micro_batches", 2, by="lanes", shared=True):
        with engine.override("micro_batches", 2, by="lanes", shared=True):
            assert engine.serving.micro_batches == 2
        with pytest.raises(OutOfValidityError, match="'other' and 'lanes' both want 'micro_batches'"):
            engine.override("micro_batches", 4, by="other").__enter__()
    with engine.register("placements", "a", len), pytest.raises(OutOfValidityError, match="'a' is on already"):
        engine.register("placements", "a", len).__enter__()

    assert engine.serving.micro_batches == 1
    assert not engine.serving.placements


def test_a_parameter_without_a_tensor_is_refused(tmp_path: Path) -> None:
    """A storing that loses a tensor is named, and the session gives nothing."""
    engine = tiny.engine("llava", tmp_path)

    def lose(tensors: Tensors) -> Tensors:
        return {k: v for k, v in tensors.items() if "layers.1.mlp.up_proj" not in k}

    with (
        engine.register("storage_hooks", "lossy", lose),
        pytest.raises(EvidenceError, match=r"1 parameters have no tensor .*layers\.1\.mlp\.up_proj"),
    ):
        engine.run(tiny.session(engine))
    with pytest.raises(EvidenceError, match="no session is under way"):
        _ = engine.recorder
