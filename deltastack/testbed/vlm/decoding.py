"""One batch on the calling thread: pixels, prefill, greedy decoding with a cache of keys and values."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from deltastack.model import Component
from deltastack.testbed.vlm.served_model import Kind
from deltastack.testbed.vlm.session import Served

if TYPE_CHECKING:
    from torch import Tensor

    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Batch


def serve(engine: Engine, batch: Batch) -> Served:
    """Serve ``batch``; every request gets exactly ``new_tokens`` tokens."""
    import torch

    adapter, recorder = engine.host.adapter, engine.recorder
    with torch.inference_mode(), contextlib.ExitStack() as routed:
        for _, route in sorted(engine.serving.batch_hooks.items()):
            routed.enter_context(route(batch))
        with recorder.within(Component.HOST):
            prompts = engine.device.place(batch.prompts)
            pixels = _pixels(engine, batch)
        with recorder.within(Component.OTHER):
            if batch.kind is Kind.TEXT and pixels:
                adapter.encode(pixels)
            first = adapter.prefill(prompts, pixels if batch.kind is Kind.IMAGE else {})
            return _decode(engine, first, batch.new_tokens)


def cache_byte(cache: Any) -> float:
    """Bytes of keys and values in a cache of Transformers, all layers."""
    tensors = [t for layer in cache.layers for t in (layer.keys, layer.values) if t is not None]
    return float(sum(t.numel() * t.element_size() for t in tensors))


def _decode(engine: Engine, first: dict[str, Any], new_tokens: int) -> Served:
    import torch

    model, adapter = engine.host.model, engine.host.adapter
    out = model(**first, use_cache=True, logits_to_keep=1)
    logits, cache = out.logits[:, -1], out.past_key_values
    first_byte = cache_byte(cache)
    tokens = [logits.argmax(-1, keepdim=True)]
    for done in range(1, new_tokens):
        step = adapter.step(first, done)
        out = model(input_ids=tokens[-1], past_key_values=cache, use_cache=True, logits_to_keep=1, **step)
        tokens.append(out.logits[:, -1].argmax(-1, keepdim=True))
    return Served(tokens=torch.cat(tokens, 1), logits=logits, cache_byte=(first_byte + cache_byte(cache)) / 2)


def _pixels(engine: Engine, batch: Batch) -> dict[str, Tensor]:
    """The model's inputs for the batch's images; for text, blank images where the server encodes them all the same."""
    import torch

    adapter = engine.host.adapter
    images = batch.images
    if images is None:
        if not engine.serving.encode_text:
            return {}
        images = torch.zeros(len(batch.prompts), adapter.image_size, adapter.image_size, dtype=torch.uint8)
    return {k: engine.device.place(v) for k, v in adapter.pixels(images).items()}
