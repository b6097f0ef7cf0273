"""Routing: every early exit agrees with a slow loop without a cache, and who is not routed is served as before."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import OutOfValidityError
from deltastack.layers import layer, techniques
from deltastack.model import Component
from deltastack.testbed import operation_count, quality_eval, settings
from deltastack.testbed.learning import bundled_checkpoint
from deltastack.testbed.switches import early_exit, layer_bypass
from deltastack.testbed.switches.part_skipping import skipped
from deltastack.testbed.switches.settings import EarlyExit, Lanes, PartSkipping
from deltastack.testbed.vlm import digits, models
from deltastack.testbed.vlm.served_model import Kind
from deltastack.testbed.vlm.session import Served
from tests.testbed import tiny
from tests.testbed.switches.cases import switch_on
from tests.testbed.switches.test_conformance import tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Batch
    from deltastack.testbed.vlm.session import Outcome

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
ROOT = Path(__file__).parents[3]


def exits(confidence: float, share: float = 0.5) -> EarlyExit:
    """An exit in the middle of the decoder."""
    return EarlyExit(after=0.5, confidence=confidence, exits=share)


class Slow:
    """The slow twin: the whole sequence again for every token, no cache; a position that left keeps its h in later layers."""

    def __init__(self, first: int, leaves: Callable[[Tensor, int], Tensor]) -> None:
        """Exit before layer ``first``; ``leaves`` says which rows go, from (B,) probabilities and the number of the step."""
        self.first, self.leaves = first, leaves
        self.sure: list[Tensor] = []

    def __call__(self, engine: Engine, batch: Batch) -> Served:
        """Serve ``batch``."""
        host, sequence = engine.host, batch.prompts
        pixels = {} if batch.images is None else host.adapter.pixels(batch.images)
        left = torch.zeros(sequence.shape, dtype=torch.bool)
        first: Any = None
        with torch.inference_mode():
            for step in range(batch.new_tokens):
                with self._keeping(engine, left, step):
                    out = host.model(**host.adapter.prefill(sequence, pixels), use_cache=False).logits[:, -1]
                first = out if first is None else first
                sequence = torch.cat([sequence, out.argmax(-1, keepdim=True)], 1)
                left = torch.cat([left, torch.zeros(len(left), 1, dtype=torch.bool)], 1)
        return Served(tokens=sequence[:, batch.prompts.shape[1] :], logits=first, cache_byte=0.0)

    @contextlib.contextmanager
    def _keeping(self, engine: Engine, left: Tensor, step: int) -> Iterator[None]:
        host = engine.host

        def forward(own: Callable[..., Any], hidden: Tensor, *args: Any, place: int, **named: Any) -> Tensor:
            if step and place == self.first:
                sure = host.head(host.decoder.norm(hidden[:, -1:]))[:, -1].softmax(-1).amax(-1)
                self.sure.append(sure)
                left[:, -1] = self.leaves(sure, step - 1)
            return torch.where(left[..., None], hidden, own(hidden, *args, **named))

        with contextlib.ExitStack() as stack:
            for i in range(self.first, len(host.layers)):
                stack.enter_context(layer_bypass.passing(host.layers[i], lambda *a, i=i, **k: forward(*a, place=i, **k)))
            yield


def slowly(engine: Engine, batches: tuple[Batch, ...], twin: Slow) -> Outcome:
    """One session by the slow twin."""
    with engine.override("runner", twin, by="slow"):
        return engine.run(batches)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_exit_at_a_fixed_layer_is_the_truncated_model_token_for_token(family: str, tmp_path: Path) -> None:
    """With confidence 0 every decoded token is that of a model that ends after one layer, over a prompt that passed both."""
    engine = tiny.engine(family, tmp_path, loud=True)
    batches = tiny.session(engine, new_tokens=6)
    slow = slowly(engine, batches, Slow(1, lambda sure, _: torch.ones_like(sure, dtype=torch.bool)))
    with switch_on("early_exit", engine, exits(0.0)):
        quick = engine.run(batches)

    assert tokens(quick.served) == tokens(slow.served)
    assert tokens(quick.served) != tokens(engine.run(batches).served)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_rows_that_leave_and_rows_that_stay_agree_with_the_slow_loop(family: str, tmp_path: Path) -> None:
    """At the median confidence some rows leave and some stay: later tokens see the keys of both, as in the slow loop."""
    engine = tiny.engine(family, tmp_path, loud=True)
    batches = tiny.session(engine, rows=3, new_tokens=6)
    never = Slow(1, lambda sure, _: torch.zeros_like(sure, dtype=torch.bool))
    assert tokens(slowly(engine, batches, never).served) == tokens(engine.run(batches).served)
    median = float(torch.cat(never.sure).median())

    slow = Slow(1, lambda sure, _: sure >= median)
    wanted = slowly(engine, batches, slow)
    with switch_on("early_exit", engine, exits(median)):
        quick = engine.run(batches)

    went = torch.stack(slow.sure) >= median
    assert any(0 < int(step.sum()) < 3 for step in went)
    assert tokens(quick.served) == tokens(wanted.served)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_keys_and_values_that_are_put_back_are_the_layer_s_own(family: str, tmp_path: Path) -> None:
    """What ``remember`` puts into the cache is what the layer's own forward puts there of the same hidden state, bit for bit."""
    engine = tiny.engine(family, tmp_path, loud=True)
    seen: list[tuple[Tensor, ...]] = []

    def forward(own: Callable[..., Any], hidden: Tensor, *args: Any, **named: Any) -> Any:
        import copy

        cache = named["past_key_values"]
        fresh = copy.deepcopy(cache)
        early_exit.remember(engine.host.layers[1], hidden, named["position_embeddings"], fresh)
        out = own(hidden, *args, **named)
        seen.append((fresh.layers[1].keys, cache.layers[1].keys, fresh.layers[1].values, cache.layers[1].values))
        return out

    def runner(engine: Engine, batch: Batch) -> Served:
        with layer_bypass.passing(engine.host.layers[1], forward):
            return engine.serve(batch)

    with engine.override("runner", runner, by="test"):
        engine.run(tiny.session(engine, new_tokens=3))

    assert len(seen) == 9
    assert all(torch.equal(a, b) and torch.equal(c, d) for a, b, c, d in seen)


def test_random_weights_leave_by_the_draw(tmp_path: Path) -> None:
    """Sure of nothing, a model of random weights leaves as often as it is told: never, always, or as drawn row by row."""
    engine = tiny.engine("llava", tmp_path, loud=True)
    batches = tiny.session(engine, rows=3, new_tokens=6)
    full = tokens(engine.run(batches).served)
    with switch_on("early_exit", engine, exits(0.0)):
        always = tokens(engine.run(batches).served)

    engine.random_weights = True
    said = {}
    for share in (0.0, 0.5, 1.0):
        with switch_on("early_exit", engine, exits(0.99, share)):
            said[share] = tokens(engine.run(batches).served)
    drawn = early_exit.draws(batches[0].prompts, 6, 0.5)
    wanted = slowly(engine, batches[:1], Slow(1, lambda _, step: drawn[:, step]))

    assert (said[0.0], said[1.0]) == (full, always)
    assert said[0.5][0] == wanted.served[0].tokens.tolist()
    assert 0 < int(drawn.sum()) < drawn.numel()


def test_a_row_is_drawn_the_same_in_every_batch_and_lane(tmp_path: Path) -> None:
    """Draws belong to the prompt: in micro-batches on two lanes every token is the same; the share is kept over many rows."""
    engine = tiny.engine("llava", tmp_path, loud=True)
    engine.random_weights = True
    batches = tiny.session(engine, rows=4)
    with switch_on("early_exit", engine, exits(0.5)):
        alone = tokens(engine.run(batches).served)
        with switch_on("layer_placement", engine, Lanes(lanes=2, micro_batches=2)):
            assert tokens(engine.run(batches).served) == alone

    prompts = torch.arange(4000).view(1000, 4)
    drawn = early_exit.draws(prompts, 4, 0.3)
    assert torch.equal(drawn[10:12], early_exit.draws(prompts[10:12], 4, 0.3))
    assert float(drawn.float().mean()) == pytest.approx(0.3, abs=0.03)


def test_work_of_exits_by_hand(tmp_path: Path) -> None:
    """Two layers, one step for two rows: a row that leaves does half of its feed-forward work, and one head."""
    engine = tiny.engine("llava", tmp_path, loud=True)
    text = tiny.session(engine, new_tokens=2)[1:2]
    full = operation_count.audit(engine, text)
    with switch_on("early_exit", engine, exits(0.0)):
        left = operation_count.audit(engine, text)
    with switch_on("early_exit", engine, exits(1.0)):
        stayed = operation_count.audit(engine, text)

    a_row = 2 * 3 * 32 * 64
    keys = 2 * 2 * 32 * 32
    head = 2 * 32 * 64
    assert full.operations[Component.FFN] - left.operations[Component.FFN] == 2 * a_row
    assert left.operations[Component.OTHER] == full.operations[Component.OTHER]
    assert stayed.operations[Component.OTHER] - full.operations[Component.OTHER] == 2 * head
    assert stayed.operations[Component.FFN] == full.operations[Component.FFN]
    seen = text[0].prompts.shape[1] + 1
    own = 2 * 4 * 32 * 32 + 4 * seen * 32
    assert full.operations[Component.ATTENTION] - left.operations[Component.ATTENTION] == 2 * (own - keys)


def test_who_is_skipped_past_is_the_model_without_that_layer(tmp_path: Path) -> None:
    """Text passes by the second of two layers: it is served by the truncated model, with half of the cache; images as before."""
    engine = tiny.engine("llava", tmp_path, loud=True)
    batches = tiny.session(engine)
    full = engine.run(batches)

    def truncated(engine: Engine, batch: Batch) -> Served:
        with layer_bypass.passing(engine.host.layers[1], lambda _, hidden, *__, **___: hidden):
            return engine.serve(batch)

    with engine.override("runner", truncated, by="test"):
        wanted = engine.run(batches)
    with switch_on("part_skipping", engine, PartSkipping(kind="text", skipped=0.5)):
        routed = engine.run(batches)

    image, text, _ = routed.served
    assert torch.equal(text.logits, wanted.served[1].logits)
    assert torch.equal(text.tokens, wanted.served[1].tokens)
    assert text.cache_byte == full.served[1].cache_byte / 2
    assert torch.equal(image.logits, full.served[0].logits)
    assert torch.equal(image.tokens, full.served[0].tokens)


def test_both_routes_on_one_layer(tmp_path: Path) -> None:
    """Where text skips the layer that follows the exit, it decides nothing: it is served by the model without that layer."""
    engine = tiny.engine("llava", tmp_path, loud=True)
    batches = tiny.session(engine)
    with switch_on("part_skipping", engine, PartSkipping(kind="text", skipped=0.5)):
        skips = tokens(engine.run(batches).served)
        with switch_on("early_exit", engine, exits(0.0)):
            both = tokens(engine.run(batches).served)
    with switch_on("early_exit", engine, exits(0.0)):
        leaves = tokens(engine.run(batches).served)

    assert both == [leaves[0], skips[1], leaves[2]]


@given(st.integers(2, 100), st.floats(0.001, 0.999))
def test_layers_that_are_skipped(layers: int, share: float) -> None:
    """At least one, never the first, none that is not there, as many as the share asks for, in the middle."""
    found = skipped(layers, share)

    assert 1 <= found.start < found.stop <= layers
    assert abs(len(found) - share * layers) <= 1
    assert abs(found.start - (layers - found.stop)) <= 1


@pytest.mark.parametrize("technique", ["early_exit", "part_skipping"])
def test_a_single_layer_is_refused(technique: str, tmp_path: Path) -> None:
    """There is nothing to pass by in a decoder of one layer."""
    engine = tiny.grouped(tmp_path, layers=1)
    on = {"early_exit": exits(0.5), "part_skipping": PartSkipping(kind="text", skipped=0.5)}[technique]

    with pytest.raises(OutOfValidityError, match="not applicable: the decoder has one layer"):
        switch_on(technique, engine, on)


def test_other_names_are_refused(tmp_path: Path) -> None:
    """A layer without a norm of that name cannot give keys and values for a token that left: the name is said."""
    engine = tiny.engine("llava", tmp_path, loud=True)
    del engine.host.layers[0].input_layernorm

    with pytest.raises(OutOfValidityError, match="Qwen3DecoderLayer has no 'input_layernorm'"):
        switch_on("early_exit", engine, exits(0.5))


def test_the_share_of_exits_in_params_is_the_trained_model_s(tmp_path: Path) -> None:
    """On 128 held-out questions a kind the trained model leaves as often as params say (to 4 points), and answers as well."""
    p = settings.load(ROOT)
    bundled_checkpoint.copy(bundled_checkpoint.FOLDER, (tmp_path / models.TRAINED).parent)
    engine = models.engine(tmp_path, p, "trained")
    some = digits.examples(128, 5, held_out=True)
    one = next(c for c in techniques.chosen(ROOT, layer("routing")) if c.name == "early_exit")
    asked, left = [0], [0]

    @contextlib.contextmanager
    def spy(batch: Batch) -> Iterator[None]:
        del batch
        yield
        way = layer_bypass.way("early_exit")
        asked[0] += way.asked
        left[0] += way.exits

    full = quality_eval.answer(engine, some).right
    on = one.technique.switch(engine, one.params)
    assert on is not None
    with on, engine.register("batch_hooks", "spy", spy):
        early = quality_eval.answer(engine, some).right

    assert left[0] / asked[0] == pytest.approx(one.params.model_dump()["exits"], abs=0.04)
    assert all(early[kind].mean() > full[kind].mean() - 0.03 for kind in Kind)
