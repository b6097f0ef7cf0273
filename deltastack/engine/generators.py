"""Well-kept load generators in the place of the thin client: ``vllm bench serve`` where vLLM is, AIPerf elsewhere.

A generator runs as a subprocess under a keeper, writes its own result, and is read as the client's records. It costs 9 to 20
processor seconds of its own (measured on two cores), so it is for servers on other machines or with GPUs; it makes its own
prompts of the declared lengths. Result formats: vLLM 0.32 ``--save-detailed``, AIPerf 0.13 ``profile_export.jsonl``.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from deltastack.engine import process
from deltastack.engine.client import Outcome, Record
from deltastack.engine.declaration import Stop
from deltastack.engine.faults import FaultKind
from deltastack.errors import CellError, ParamsError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from deltastack.engine.client import Target
    from deltastack.engine.declaration import Load

_LOOK_S = 0.2
_THROTTLED = 429
_S_OF = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


class Generator(Protocol):
    """One tool: its command line, and its result as records."""

    def command(self, target: Target, load: Load, fields: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
        """Its arguments after the executable."""
        ...

    def records(self, folder: Path) -> tuple[Record, ...]:
        """What it wrote below ``folder``."""
        ...


@dataclass(frozen=True, slots=True)
class VllmBench:
    """``vllm bench serve``."""

    def command(self, target: Target, load: Load, fields: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
        """Its arguments after the executable."""
        chat = load.path.endswith("chat/completions")
        words: dict[str, Any] = {
            "backend": "openai-chat" if chat else "openai",
            "base-url": target.address,
            "endpoint": load.path,
            "model": load.model,
            "dataset-name": "random-mm" if load.image_share else "random",
            "num-prompts": load.requests,
            "num-warmups": load.warm,
            "random-prefix-len": load.shared_words,
            "random-input-len": load.own_words,
            "random-output-len": load.output_tokens,
            "max-concurrency": target.concurrency,
            "seed": load.seed,
            "extra-body": json.dumps(dict(fields)),
            "result-dir": folder,
            "result-filename": "result.json",
        }
        flags = ("--save-result", "--save-detailed", *(("--ignore-eos",) if fields.get("ignore_eos") else ()))
        return ("bench", "serve", *(w for k, v in words.items() for w in (f"--{k}", str(v))), *flags)

    def records(self, folder: Path) -> tuple[Record, ...]:
        """Lists of one entry a request."""
        found = json.loads((folder / "result.json").read_text())
        columns = (found["ttfts"], found["itls"], found["input_lens"], found["output_lens"], found["errors"])
        texts = found.get("generated_texts") or [""] * len(found["ttfts"])
        starts = found.get("start_times") or [0.0] * len(found["ttfts"])
        return tuple(
            Record(
                number=n,
                outcome=_outcome(error, error),
                sent_s=starts[n] - min(starts),
                queue_s=0.0,
                first_s=first if not error else None,
                last_s=first + math.fsum(gaps) if not error else None,
                text=texts[n],
                reported={"usage.prompt_tokens": float(prompt), "usage.completion_tokens": float(output)},
                error=error or None,
            )
            for n, (first, gaps, prompt, output, error) in enumerate(zip(*columns, strict=True))
        )


@dataclass(frozen=True, slots=True)
class AIPerf:
    """``aiperf profile``."""

    def command(self, target: Target, load: Load, fields: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
        """Its arguments after the executable.

        Raises:
            ParamsError: A key is needed: the tool takes it as an argument, which every user of the machine could read.
        """
        if target.headers:
            raise ParamsError("AIPerf takes the API key on its command line: use generator: client or vllm with key_variable")
        words: dict[str, Any] = {
            "model": load.model,
            "url": target.address,
            "endpoint-type": "chat" if load.path.endswith("chat/completions") else "completions",
            "concurrency": target.concurrency,
            "request-count": load.requests,
            "warmup-request-count": load.warm,
            "synthetic-input-tokens-mean": load.own_words,
            "output-tokens-mean": load.output_tokens,
            "random-seed": load.seed,
            "artifact-dir": folder,
        }
        if load.shared_words:
            words |= {"num-prefix-prompts": 1, "prefix-prompt-length": load.shared_words}
        extra = (w for k, v in fields.items() for w in ("--extra-inputs", f"{k}:{json.dumps(v)}"))
        return ("profile", *(w for k, v in words.items() for w in (f"--{k}", str(v))), "--streaming", *extra)

    def records(self, folder: Path) -> tuple[Record, ...]:
        """One JSON line a request."""
        path = next(folder.rglob("profile_export.jsonl"))
        lines = [json.loads(x) for x in path.read_text().splitlines() if x.strip()]
        lines = [x for x in lines if x["metadata"].get("benchmark_phase", "profiling") == "profiling"]
        return tuple(
            _of_aiperf(n, x) for n, x in enumerate(sorted(lines, key=lambda x: x["metadata"].get("request_start_ns", 0)))
        )


GENERATORS: dict[str, Generator] = {"vllm": VllmBench(), "aiperf": AIPerf()}


def drive(
    target: Target, load: Load, fields: Mapping[str, Any], folder: Path, watch: Callable[[], str | None]
) -> tuple[Record, ...]:
    """Run the declared generator against ``target`` and read its records.

    Raises:
        CellError: It failed, its result cannot be read, or ``watch`` gave a reason to end.
        ParamsError: It cannot be used as declared.
    """
    generator = GENERATORS[load.generator]
    shutil.rmtree(folder, ignore_errors=True)  # what an earlier run wrote is no result of this one
    folder.mkdir(parents=True)
    bearer = target.headers.get("Authorization")
    key = {} if bearer is None else {"OPENAI_API_KEY": bearer.removeprefix("Bearer ")}
    arguments = (*load.generator_command, *generator.command(target, load, dict(load.fields) | dict(fields), folder))
    log = folder / "generator.log"
    with log.open("wb") as out:
        tool = process.kept(arguments, key, Stop(), out.fileno())
    _wait(tool, watch)
    if tool.returncode:
        raise CellError(FaultKind.FAILED_REQUESTS, f"{load.generator} ended with {tool.returncode}: {process.last_lines(log)}")
    try:
        return generator.records(folder)
    except (OSError, StopIteration, ValueError, KeyError, TypeError) as error:
        raise CellError(FaultKind.FAILED_REQUESTS, f"the result of {load.generator} cannot be read: {error!r}") from error


def _wait(tool: subprocess.Popen[bytes], watch: Callable[[], str | None]) -> None:
    while tool.poll() is None:
        if watch() is not None and tool.stdin is not None:
            tool.stdin.close()
            tool.wait()
            return
        time.sleep(_LOOK_S)
    if tool.stdin is not None:
        tool.stdin.close()


def _of_aiperf(number: int, line: dict[str, Any]) -> Record:
    metrics, error = line.get("metrics") or {}, line.get("error")
    counts = {"usage.prompt_tokens": "input_sequence_length", "usage.completion_tokens": "output_sequence_length"}
    return Record(
        number=number,
        outcome=_outcome(str(error.get("code")) if error else "", str(error or "")),
        sent_s=0.0,
        queue_s=0.0,
        first_s=_seconds(metrics.get("time_to_first_token")),
        last_s=_seconds(metrics.get("request_latency")),
        reported={name: float(metrics[key]["value"]) for name, key in counts.items() if key in metrics},
        error=str(error)[:160] if error else None,
    )


def _seconds(metric: dict[str, Any] | None) -> float | None:
    """A metric's value in seconds; the unit that stands beside it is authoritative."""
    return None if metric is None else float(metric["value"]) * _S_OF[metric["unit"]]


def _outcome(code: str, words: str) -> Outcome:
    if not words:
        return Outcome.OK
    throttled = str(_THROTTLED) in code or "Too Many Requests" in words
    return Outcome.THROTTLED if throttled else Outcome.TIMEOUT if "imeout" in words else Outcome.ERROR
