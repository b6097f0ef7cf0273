"""Classes of techniques, by words in their names, so that pairs of one kind can be counted together."""

from __future__ import annotations

import re

CLASSES: tuple[tuple[str, str], ...] = (
    ("bundle", r"\bbundle\b"),
    ("quantized KV cache", r"(fp8|fp4|int8|int4|q8|q4|quant\w*).{0,6}(kv|cache)|kv.{0,12}(fp8|fp4|int8|int4|q8|q4|quant)"),
    ("speculation", r"eagle|mtp|specul|draft|ngram|medusa|dflash|lookahead"),
    ("cache", r"(prefix|block|step|radix|first).{0,6}cach|fbcache|teacache"),
    (
        "quantized weights",
        r"awq|gptq|w4a16|w8a8|w8a16|nvfp4|mxfp4|fp8|fp4|int4|int8|bnb|gguf|\bi?q\d|q\d_k|quant|marlin",
    ),
    ("pruning", r"prun|sparse|2:4|distill"),
    ("batching", r"batch|max_num_seqs|chunked|async|schedul|concurren|seqs"),
    ("parallelism", r"tensor|parallel|\bring\b|ulysses|\btp\d*\b|\bgpus?\b|\d+gpu|sequence|pipeline|expert"),
    ("other hardware", r"\b(b200|b100|h100|h200|a100|l40s?|gb200|mi300x?)\b.*\bfor\b"),
    ("kernels", r"compil|flash|attention|repack|fused|fusion|graph|kernel|flashinfer|inductor"),
    ("memory sizing", r"max_model_len|kv_cache_memory|offload|right.?sized"),
)
"""The first class whose pattern is found in the name counts."""
OTHER = "other"


def technique_class(name: str) -> str:
    """The class of a technique.

    >>> technique_class("awq_w4a16_weights"), technique_class("fp8_kv_cache"), technique_class("eagle3_k5")
    ('quantized weights', 'quantized KV cache', 'speculation')
    """
    word = name.replace("_", " ").lower()
    joined = name.lower()
    return next((label for label, pattern in CLASSES if re.search(pattern, word) or re.search(pattern, joined)), OTHER)


def pair_class(layers: tuple[str, ...]) -> str:
    """The classes of a pair, in one order.

    >>> pair_class(("eagle3_k5", "fp8_weights"))
    'quantized weights x speculation'
    """
    return " x ".join(sorted(technique_class(x) for x in layers))
