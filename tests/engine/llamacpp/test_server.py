"""The server as a process: what it refuses, what it answers, how it ends, and that its counts give the work by formula."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from deltastack.engine.llamacpp import counters, server, work
from deltastack.engine.llamacpp.work import Batching, DecoderSize
from deltastack.errors import ParamsError, PreflightError
from tests.engine.llamacpp.conftest import ROOT, SERVER

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from deltastack.engine.llamacpp.questions import Question
    from tests.engine.llamacpp.conftest import Served

    Serve = Callable[..., AbstractContextManager[Served]]

SIZE = DecoderSize(blocks_byte=1000, head_byte=100, key_width=96, value_width=96)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--set", "n_paralel=3"), 2, "error: this engine has no setting 'n_paralel'; near: n_parallel"),
        (("--set", "n_parallel=x"), 2, "error: setting 'n_parallel' takes int, found 'x'"),
        (("--set", "port=1"), 2, "error: setting 'port' has a flag of its own"),
        (("--set", "cache_type_v=q8_0", "--set", "flash_attn_type=disabled"), 3, "error: llama.cpp did not start"),
    ],
)
def test_what_does_not_hold_ends_it_in_one_line(image_models: Path, words: tuple[str, ...], status: int, said: str) -> None:
    """On stderr, with the status of its kind."""
    command = [*SERVER, "--model", str(image_models / "image-f32.gguf"), *words]
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert found.returncode == status
    assert found.stderr.count(said) == 1  # the engine writes its own lines from a thread


def test_a_missing_file_and_a_taken_port_are_refused(image_models: Path, tmp_path: Path) -> None:
    """Before anything loads: the engine itself would share the port in silence."""
    with pytest.raises(ParamsError, match=r"no file .*nothing\.gguf for model\.path"):
        server.start(tmp_path / "nothing.gguf", None, "127.0.0.1", 0, {})
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(PreflightError, match="is taken by another server"):
        server.start(image_models / "image-f32.gguf", None, "127.0.0.1", taken.getsockname()[1], {})


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(serve: Serve, sign: signal.Signals) -> None:
    """And before that it is healthy and says what it was told to set."""
    with serve("n_parallel=2", "flash_attn_type=disabled") as it:
        assert it.get("/health").json() == {"status": "ok"}
        assert it.get("/props").json()["total_slots"] == 2
        assert {"set n_parallel=2", "set flash_attn_type=disabled"} <= set(it.said)
        it.process.send_signal(sign)
        assert it.process.wait(30) == 0


def test_it_ends_with_its_parent(image_models: Path) -> None:
    """A parent that is killed leaves no server behind: its pipe closes when the last process that holds it is gone."""
    command = [*SERVER, "--model", str(image_models / "image-f32.gguf"), "--with-parent", "--set", "n_ctx=256"]
    program = (
        f"import subprocess, sys, time\np = subprocess.Popen({command!r}, stderr=subprocess.DEVNULL)\n"
        "print(p.pid, flush=True)\ntime.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout is not None
        for line in parent.stdout:
            if line.startswith("listening "):
                break
        parent.kill()
        assert parent.stdout.read().count("listening") == 0  # reads to the end: returns only when the server closed it too


def test_its_counts_give_the_work_that_the_formula_says(serve: Serve, held_out: tuple[Question, ...]) -> None:
    """Six requests alone, prompts in batches of four: the engine's calls are the formula's passes, its tokens the formula's."""
    batching = Batching(batch=4, micro_batch=4)
    with serve("n_parallel=1", "n_batch=4", "n_ubatch=4", "cache_prompt=false") as it:
        before = counters.of_metrics(it.get("/metrics").text)
        answers = [counters.of_answer(it.post("/completion", q.told())) for q in held_out[:6]]
        seen = counters.of_metrics(it.get("/metrics").text) - before
    single = [work.of_request(SIZE, a, batching) for a in answers]
    run = work.of_run(SIZE, seen, batching, requests=6)
    assert [a.cached for a in answers] == [0] * 6
    assert run.passes == sum(w.passes for w in single) == 6 * (3 + 4)
    assert run.tokens_computed == sum(w.tokens_computed for w in single) == 6 * (12 + 4)
    assert run.kv_written_byte == sum(w.kv_written_byte for w in single)


def test_a_cached_prompt_is_not_computed_again(serve: Serve, held_out: tuple[Question, ...]) -> None:
    """The same question twice: all but its last token comes from the cache; without the setting none does."""
    with serve("n_parallel=1", "cache_prompt=true") as it:
        first, again = (counters.of_answer(it.post("/completion", held_out[0].told())) for _ in range(2))
    assert (first.cached, again.cached, again.computed) == (0, first.prompt - 1, 1)


def test_drafts_are_counted(serve: Serve) -> None:
    """Words that repeat: an n-gram is found, drafted, and checked; calls and tokens fit the formula."""
    body = {"prompt": " A1 3 A2 5 B1 7 B2 1" * 4, "n_predict": 12, "temperature": 0, "ignore_eos": True}
    words = ("n_parallel=1", "cache_prompt=false", "n_batch=64", "n_ubatch=64", "speculative.types=ngram_map_k")
    with serve(*words, "speculative.ngram_map_k.size_n=2", "speculative.ngram_map_k.size_m=4") as it:
        found = counters.of_answer(it.post("/completion", body))
        seen = counters.of_metrics(it.get("/metrics").text)
    run = work.of_run(SIZE, seen, Batching(batch=64, micro_batch=64), requests=1)
    drafted, accepted = seen.spec_decode_num_draft_tokens_total, seen.spec_decode_num_accepted_tokens_total
    assert (found.generated, seen.tokens_predicted_total) == (12, 12)
    assert run.passes == 12 - accepted
    assert run.tokens_computed == found.prompt + 11 - accepted + drafted
