"""Stands for ``vllm bench serve`` and ``aiperf profile``: asks the server what its flags say and writes the tool's result."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path


def flag(name: str) -> str:
    """The value of a flag."""
    return sys.argv[sys.argv.index(f"--{name}") + 1]


def ask(url: str) -> str:
    """One request; the error in words."""
    body = json.dumps({"prompt": "a b", "max_tokens": 2}).encode()
    try:
        urllib.request.urlopen(urllib.request.Request(url, body)).read()  # noqa: S310 - the test's own server
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.reason}"
    return ""


def vllm() -> None:
    """Lists of one entry a request, and what was asked for."""
    count = int(flag("num-prompts"))
    errors = [ask(flag("base-url") + flag("endpoint")) for _ in range(count)]
    lists = {"ttfts": [0.5] * count, "itls": [[0.25, 0.25]] * count, "input_lens": [9] * count, "output_lens": [3] * count}
    extra = {"errors": errors, "start_times": [10.0 + n for n in range(count)], "generated_texts": ["a b c"] * count}
    Path(flag("result-dir"), flag("result-filename")).write_text(json.dumps(lists | extra))
    Path(flag("result-dir"), "told.json").write_text(json.dumps([sys.argv[1:], os.environ.get("OPENAI_API_KEY")]))


def aiperf() -> None:
    """One JSON line a request."""
    lines = []
    for n in range(int(flag("request-count"))):
        error = ask(flag("url") + "/v1/completions")
        values = {"time_to_first_token": (500, "ms"), "request_latency": (1.0, "s"), "output_sequence_length": (3, "tokens")}
        metrics = {k: {"value": v, "unit": u} for k, (v, u) in values.items()}
        told = {"code": int(error.split()[0]), "message": error} if error else None
        lines.append(json.dumps({"metadata": {"request_start_ns": n}, "metrics": {} if error else metrics, "error": told}))
    folder = Path(flag("artifact-dir"), "run")
    folder.mkdir(parents=True)
    (folder / "profile_export.jsonl").write_text("\n".join(lines))


if __name__ == "__main__":
    if "--broken" in sys.argv:
        sys.exit("generator: no such flag")
    {"bench": vllm, "profile": aiperf}[next(w for w in sys.argv[1:] if w in {"bench", "profile"})]()
