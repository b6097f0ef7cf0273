"""The session's requests: image and text batches by the workload's shares, with virtual idle gaps before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from deltastack.testbed.vlm import digits
from deltastack.testbed.vlm.served_model import Batch, Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from deltastack.testbed.settings import SessionParams
    from deltastack.testbed.vlm.served_model import Host


def batches(host: Host, p: SessionParams, *, text_share: float, trained: bool) -> tuple[Batch, ...]:
    """One session of ``p.batches`` batches; the same arguments give the same requests.

    Args:
        host: Who serves; gives the number of image tokens and the vocabulary.
        p: Sizes, gaps and the seed.
        text_share: Share of requests without an image, 0..1; rounded to whole batches, at least one of each kind that occurs.
        trained: Whether prompts are the default model's questions (with right answers), or filler of the asked length.
    """
    chance = np.random.default_rng(p.seed)
    kinds = chance.permutation(_kinds(p.batches, text_share))
    gaps_s = chance.exponential(p.mean_gap_s, p.batches) if p.mean_gap_s > 0 else np.zeros(p.batches)
    some = digits.examples(p.batches * p.batch, p.seed, held_out=True)
    made = []
    for n, (kind, gap_s) in enumerate(zip(kinds, gaps_s, strict=True)):
        rows = slice(n * p.batch, (n + 1) * p.batch)
        asked = digits.batch(some, Kind(kind), host.adapter.image_tokens, rows=rows, gap_s=float(gap_s))
        made.append(asked if trained else _filler(host, p, asked, chance))
    return tuple(made)


def _kinds(count: int, text_share: float) -> NDArray[np.str_]:
    text = round(count * text_share)
    if 0 < text_share < 1 and count > 1:
        text = min(max(text, 1), count - 1)
    return np.array([Kind.TEXT] * text + [Kind.IMAGE] * (count - text))


def _filler(host: Host, p: SessionParams, asked: Batch, chance: np.random.Generator) -> Batch:
    """The same images with prompts of ``text_tokens`` plain tokens."""
    import torch

    config: Any = host.model.config
    image = int(config.image_token_id)
    vocabulary = int(config.text_config.vocab_size)
    plain = chance.integers(vocabulary // 8, vocabulary // 2, (len(asked.prompts), p.text_tokens))
    plain[plain == image] = vocabulary // 8 if image != vocabulary // 8 else vocabulary // 8 + 1
    parts = [plain]
    if asked.kind is Kind.IMAGE:
        shown = np.full((len(plain), host.adapter.image_tokens), image)
        parts = [plain[:, :1], shown, plain[:, 1:]]
    return Batch(
        kind=asked.kind,
        prompts=torch.from_numpy(np.concatenate(parts, axis=1)),
        images=asked.images,
        new_tokens=p.new_tokens,
        gap_s=asked.gap_s,
    )
