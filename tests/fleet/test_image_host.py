"""The host's work for images in a closed loop: what it costs grows with the sequences in flight."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deltastack.fleet import accelerator, closed_loop, evaluate, settings

ROOT = Path(__file__).parents[2]
KNOWN = settings.load(ROOT).serving({"replicas": 1})


def tokens_per_s(clients: int, visual_token_s: float, image_tokens: int = 900) -> float:
    """Of Qwen3-VL-8B on one H100, one image and 300 output tokens a request."""
    outputs = closed_loop.lengths(300, {}, closed_loop.count(clients))
    requests = closed_loop.requests(outputs, prompt_tokens=150, image_tokens=image_tokens)
    deployment = replace(KNOWN.values.deployment.deployment(), host_visual_token_s=visual_token_s)
    ready = evaluate.prepare(deployment, requests, accelerator.load(ROOT, deployment.platform), KNOWN.values)
    run = evaluate.observe(replace(ready, config=replace(ready.config, clients=clients)), requests, KNOWN)
    return closed_loop.steady_tokens_per_s(run.result, requests, clients)


def test_its_share_grows_with_the_sequences_in_flight() -> None:
    """All sequences share a step, none an image's work: 12.8 us a visual token take 2 to 5 % at 8, 10 to 15 % at 128."""
    work_s = KNOWN.values.deployment.host_visual_token_s
    lost = [1 - tokens_per_s(n, work_s) / tokens_per_s(n, 0.0) for n in (8, 32, 128)]

    assert lost == sorted(lost)
    assert 0.02 < lost[0] < 0.05
    assert 0.10 < lost[-1] < 0.15


def test_text_has_none() -> None:
    """Without an image nothing is decoded or resized."""
    assert tokens_per_s(16, 1.0, image_tokens=0) == pytest.approx(tokens_per_s(16, 0.0, image_tokens=0), rel=1e-12)
