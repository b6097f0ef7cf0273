"""Names of metrics, settings and repeats that a table of runs may use without explanation."""

from __future__ import annotations

import difflib
import re

REPEAT = frozenset({"repeat", "repeats", "rep", "replicate", "repetition", "trial", "run", "seed", "iteration"})
BLOCK = frozenset({"block", "blocks", "session", "round"})
SETTING = frozenset(
    {
        "accelerator",
        "backend",
        "batch",
        "batch_size",
        "concurrency",
        "dataset",
        "device",
        "dtype",
        "engine",
        "gpu",
        "gpus",
        "hardware",
        "host",
        "image",
        "input_len",
        "input_tokens",
        "isl",
        "machine",
        "max_concurrency",
        "model",
        "num_prompts",
        "osl",
        "output_len",
        "platform",
        "qps",
        "rate",
        "request_rate",
        "scenario",
        "setting",
        "task",
        "tokenizer",
        "tool",
        "trace",
        "unit",
        "version",
        "workload",
    }
)
_HIGHER = (
    "throughput",
    "goodput",
    "tokens_per_s",
    "tokens_per_sec",
    "tokens_per_second",
    "tok_per_s",
    "tok_s",
    "tokens_s",
    "tps",
    "rps",
    "req_s",
    "requests_s",
    "requests_per_s",
    "requests_per_sec",
    "requests_per_second",
    "req_per_s",
    "images_per_s",
    "samples_per_s",
    "per_s",
    "per_sec",
    "per_second",
    "accuracy",
    "score",
    "hit_rate",
    "acceptance",
    "acceptance_rate",
    "f1",
    "exact_match",
    "mfu",
    "bandwidth",
    "tflops",
)
_LOWER = (
    "ttft",
    "tpot",
    "itl",
    "e2e",
    "e2el",
    "latency",
    "time",
    "duration",
    "seconds",
    "second",
    "sec",
    "s",
    "ms",
    "us",
    "ns",
    "energy",
    "joule",
    "joules",
    "j",
    "kwh",
    "wh",
    "power",
    "watt",
    "watts",
    "w_h",
    "cost",
    "usd",
    "eur",
    "price",
    "memory",
    "mem",
    "bytes",
    "byte",
    "kib",
    "mib",
    "gib",
    "kb",
    "mb",
    "gb",
    "carbon",
    "co2",
    "co2e",
    "instructions",
    "cycles",
    "wall",
    "makespan",
    "runtime",
    "elapsed",
    "error_rate",
    "loss",
    "perplexity",
    "ppl",
    "cpu_s",
    "gpu_s",
)
_FRACTIONS = frozenset({"accuracy", "hit_rate", "acceptance_rate", "exact_match", "f1", "error_rate", "mfu", "utilization"})
_PERCENT = frozenset({"pct", "percent", "percentage"})
_CLOSE = 0.78


def plain(name: str) -> str:
    """A column name in lower case, words joined by ``_``.

    >>> plain("Output tok/s")
    'output_tok_s'
    """
    return "_".join(re.findall(r"[a-z]+\d*[a-z]*|\d+", name.strip().lower()))


def higher_is_better(name: str) -> bool | None:
    """Whether more of a metric is better, by its name; None where the name does not say.

    >>> higher_is_better("goodput_tok_s"), higher_is_better("ttft_p50_ms"), higher_is_better("tau")
    (True, False, None)
    """
    words = f"_{plain(name)}_"
    if any(f"_{w}_" in words for w in _HIGHER):
        return True
    return False if any(f"_{w}_" in words for w in _LOWER) else None


def is_fraction(name: str) -> bool:
    """Whether a metric lies between 0 and 1 by its name."""
    words = plain(name).split("_")
    joined = "_".join(words)
    return any(f in joined for f in _FRACTIONS) and not _PERCENT & set(words)


def known(name: str) -> bool:
    """Whether a column's name says what the column is."""
    word = plain(name)
    return word in REPEAT | BLOCK | SETTING or higher_is_better(name) is not None


def near_role(name: str) -> str | None:
    """The name of a repeat, block or setting that ``name`` probably misspells.

    >>> near_role("repaet"), near_role("concurency"), near_role("fp8_kv")
    ('repeat', 'concurrency', None)
    """
    if known(name):
        return None
    roles = ["repeat", "replicate", "block", "concurrency", "model", "workload", "hardware", "engine", "request_rate", "dataset"]
    return next(iter(difflib.get_close_matches(plain(name), roles, n=1, cutoff=_CLOSE)), None)


def near_metric(name: str) -> str | None:
    """The metric that ``name`` probably misspells.

    >>> near_metric("thruoghput"), near_metric("tau")
    ('throughput', None)
    """
    words = [w for w in (*_HIGHER, *_LOWER) if len(w) > 3]  # noqa: PLR2004 - shorter words are close to anything
    for part in (plain(name), *plain(name).split("_")):
        found = difflib.get_close_matches(part, words, n=1, cutoff=_CLOSE)
        if found:
            return found[0]
    return None


def nearest(name: str, names: list[str]) -> str:
    """``; did you mean 'x'?`` where a name is close to one of ``names``, else what there is."""
    found = difflib.get_close_matches(plain(name), [plain(n) for n in names], n=1, cutoff=0.6)
    if found:
        return f"did you mean '{next(n for n in names if plain(n) == found[0])}'?"
    return f"there are: {', '.join(names) or 'none'}"
