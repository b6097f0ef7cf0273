"""Requests, answers as they stream, and the split of a window's amounts into phases."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import httpx
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack import params
from deltastack.contracts import WORKLOAD
from deltastack.engine import asking, outputs, phases, readback
from deltastack.engine.answer import Answer
from deltastack.engine.client import Outcome, Record
from deltastack.engine.declaration import Load
from deltastack.engine.meters import Spent
from deltastack.engine.outputs import Output
from deltastack.errors import ParamsError, WorkloadError
from deltastack.experiment.meter import Quantity, Reading
from deltastack.model import Component, Resource

if TYPE_CHECKING:
    from pathlib import Path


def record(first_s: float | None = None, last_s: float | None = None, **changed: Any) -> Record:
    """A good record."""
    return Record(number=0, outcome=Outcome.OK, sent_s=0, queue_s=0, first_s=first_s, last_s=last_s, **changed)


async def said(*events: dict[str, Any] | str) -> Answer:
    """What an event stream says."""
    lines = "".join(f"data: {e if isinstance(e, str) else json.dumps(e)}\n\n" for e in events)
    answer = Answer()
    await answer.read(httpx.Response(200, text=lines), 0.0)
    return answer


def run(*events: dict[str, Any] | str) -> Answer:
    """``said`` to its end."""
    import asyncio

    return asyncio.run(said(*events))


def test_three_dialects_of_events_are_read() -> None:
    """OpenAI's completions and chat, and llama.cpp's own: text, chosen tokens with log probabilities, the server's numbers."""
    plain = {"choices": [{"text": "a b", "logprobs": {"tokens": ["a", "b"], "token_logprobs": [-0.5, None]}}]}
    usage = {"choices": [], "usage": {"completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}}}
    completion = run(plain, usage, "[DONE]")
    content = [{"token": "c", "logprob": -1.5}]
    chat = run(
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"delta": {"content": "c"}, "logprobs": {"content": content}}]},
        "[DONE]",
    )
    native = run(
        {"content": "d", "stop": False, "completion_probabilities": [{"token": "d", "logprob": -2.5}]},
        {"content": "", "stop": True, "tokens_predicted": 1, "tokens_evaluated": 9, "timings": {"cache_n": 4, "prompt_n": 5}},
    )

    assert ("".join(completion.parts), completion.tokens, completion.logprobs) == ("a b", ["a"], [-0.5])
    assert completion.reported == {"usage.completion_tokens": 2, "usage.prompt_tokens_details.cached_tokens": 3}
    assert (chat.parts, chat.logprobs) == (["c"], [-1.5])
    assert (native.parts, native.logprobs, native.reported["tokens_evaluated"]) == (["d"], [-2.5], 9)
    assert record(reported=native.reported).prompt_tokens == 9
    assert (completion.error, chat.error, native.error) == (None, None, None)


def test_an_answer_that_was_cut_off_is_an_error() -> None:
    """Without its end an answer does not count; nor does one that carries an error."""
    assert run({"choices": [{"text": "a"}]}).error == "the answer was cut off"
    assert run({"error": {"message": "no"}}, "[DONE]").error == "{'message': 'no'}"
    with pytest.raises(ValueError, match="Expecting"):
        run("{")


def test_synthetic_requests_are_the_same_for_one_seed_and_share_their_opening() -> None:
    """Measured prompts begin alike, those that warm up do not, so that nothing measured was cached by a warm-up."""
    load = Load(requests=3, warm=2, shared_words=5, own_words=2, output_tokens=4, seed=1)
    first, again = asking.requests(load, None), asking.requests(load, None)  # type: ignore[arg-type]

    assert first == again
    openings = [" ".join(r.body["prompt"].split()[:5]) for r in (*first.measured, *first.warm)]
    assert len(set(openings[:3])) == 1
    assert openings[3] != openings[0] != openings[4]
    assert {len(r.body["prompt"].split()) for r in first.measured} == {7}
    assert {r.output_tokens for r in first.measured} == {4}


def test_images_are_data_addresses_in_a_chat() -> None:
    """Half of the requests carry a picture of their own; the others keep their path."""
    found = asking.requests(Load(requests=4, warm=1, image_share=0.5, path="/v1/completions"), None)  # type: ignore[arg-type]

    paths = [r.path for r in found.measured]
    assert paths == ["/v1/chat/completions"] * 2 + ["/v1/completions"] * 2
    urls = [r.body["messages"][0]["content"][0]["image_url"]["url"] for r in found.measured[:2]]
    assert urls[0].startswith("data:image/png;base64,")
    assert urls[0] != urls[1]
    assert found.warm[0].path == "/v1/chat/completions"


def test_a_file_of_requests_is_asked_as_it_is(tmp_path: Path) -> None:
    """Bodies go out as written, with the declared model; a line that is no request is told with its number."""
    path = tmp_path / "asked.jsonl"
    path.write_text('{"path": "/x", "body": {"n_predict": 2}, "answer": "yes"}\n\n{"path": "/y", "body": {}}\n')
    load = Load(file="asked.jsonl", requests=1, warm=1, model="m")

    found = asking.requests(load, tmp_path)

    assert (found.measured[0].body, found.measured[0].answer) == ({"n_predict": 2, "model": "m"}, "yes")
    assert (found.warm[0].path, found.measured[0].output_tokens) == ("/y", 2)
    with pytest.raises(ParamsError, match="wanted 5 requests and 1 that warm up, found 2"):
        asking.requests(load.model_copy(update={"requests": 5}), tmp_path)
    path.write_text('{"path": "/x", "body": {}}\n{"body": {}}')
    with pytest.raises(WorkloadError, match=r"asked\.jsonl: line 2 is no request"):
        asking.requests(load, tmp_path)
    path.unlink()
    with pytest.raises(ParamsError, match=r"no file of requests asked\.jsonl"):
        asking.requests(load, tmp_path)


def test_a_trace_gives_lengths_arrivals_and_prefixes() -> None:
    """By hand: 10 prompt tokens of which 4 are an image's and 2 a shared prefix are 6 words, the first 2 shared."""
    whole = {"request": [0, 1], "arrival_s": [0.0, 1.5], "images": [1, 0], "image_tokens": [4, 0], "prompt_tokens": [10, 3]}
    unknown = dict.fromkeys(("reuse_tokens", "reuse_requests"), pd.array([None, None], dtype="Int64"))
    frame = pd.DataFrame(whole | {"output_tokens": [7, 8], "prefix_tokens": pd.array([2, None], dtype="Int64")} | unknown)
    trace = WORKLOAD.check(frame, "trace")

    found = asking.requests(Load(requests=2, warm=0), None, trace)  # type: ignore[arg-type]

    image, text = found.measured
    assert len(image.body["messages"][0]["content"][1]["text"].split()) == 6
    assert len(text.body["prompt"].split()) == 3
    assert (image.due_s, text.due_s, image.output_tokens, text.output_tokens) == (0.0, 1.5, 7, 8)
    closed = asking.requests(Load(requests=2, warm=0, replay=False), None, trace)  # type: ignore[arg-type]
    assert [r.due_s for r in closed.measured] == [None, None]


def spent(**amounts: float | None) -> Spent:
    """A window with these readings."""
    return Spent({Quantity(k): Reading(v, "hand", None if v is not None else "lost") for k, v in amounts.items()})


def test_a_windows_amounts_are_split_by_the_phases_of_its_requests() -> None:
    """By hand: 1 + 2 s until first tokens and 3 + 6 s after them: a quarter is prefill."""
    records = [record(1.0, 4.0), record(2.0, 8.0)]

    found = phases.components(spent(wall_s=12.0, cpu_s=8.0, energy_j=None, memory_byte_s=5.0), records)

    assert found[Component.PREFILL] == {Resource.TIME_S: 3.0, Resource.CPU_S: 2.0}
    assert found[Component.DECODE] == {Resource.TIME_S: 9.0, Resource.CPU_S: 6.0}
    assert found[Component.OTHER] == {Resource.MEMORY_BYTE_S: 5.0}


def test_the_engines_own_times_come_first_and_unknown_phases_are_other() -> None:
    """Timings win over the client's clock; one request without either leaves everything in other."""
    timed = record(1.0, 4.0, reported={"timings.prompt_ms": 500.0, "timings.predicted_ms": 1500.0})

    assert phases.phases([timed]) == (0.5, 1.5)
    assert phases.phases([timed, record()]) is None
    assert phases.components(spent(cpu_s=8.0), [record()]) == {Component.OTHER: {Resource.CPU_S: 8.0}}


@given(st.lists(st.tuples(st.floats(0.001, 10), st.floats(0.001, 10)), min_size=1, max_size=6), st.floats(0, 1e6))
def test_a_split_loses_nothing(times: list[tuple[float, float]], amount: float) -> None:
    """Components add up to the window."""
    found = phases.components(spent(cpu_s=amount), [record(p, p + d) for p, d in times])

    assert math.fsum(x[Resource.CPU_S] for x in found.values()) == pytest.approx(amount)


def test_counts_are_exact_or_absent() -> None:
    """A count that one answer does not give is left out, never read as zero."""
    full = {"usage.prompt_tokens": 10.0, "usage.completion_tokens": 4.0, "usage.prompt_tokens_details.cached_tokens": 6.0}
    some = {"usage.prompt_tokens": 10.0, "usage.completion_tokens": 4.0}

    found = phases.counts([record(reported=full), record(reported=full)])

    assert found == {"prompt_tokens": 20, "cached_tokens": 12, "output_tokens": 8, "computed_tokens": 8}
    assert phases.counts([record(reported=full), record(reported=some)]) == {"prompt_tokens": 20, "output_tokens": 8}
    drafts = record(reported={"timings.draft_n": 8.0, "timings.draft_n_accepted": 2.0})
    assert phases.counts([drafts])["acceptance"] == 0.25


def test_latencies_are_medians_over_requests() -> None:
    """By hand: first tokens after 1, 2, 6 s; five tokens over 4 s take 1 s each after the first."""
    counted = {"usage.completion_tokens": 5.0}
    found = phases.latencies([record(1.0, 5.0, reported=counted), record(2.0, 6.0, reported=counted), record(6.0, 10.0)])

    assert (found["ttft_s"], found["tpot_s"], found["request_s"]) == (2.0, 1.0, 6.0)


def output(words: str, logs: tuple[float, ...] = (), answers: tuple[str, ...] = ()) -> Output:
    """One request's output."""
    return Output(texts=(words,), tokens=(tuple(words.split()),), logprobs=(logs,), answers=answers)


def test_log_probabilities_are_compared_until_the_tokens_differ() -> None:
    """By hand: |0.1| and |0.3| over two agreeing tokens; the third differs and ends it."""
    base, other = output("a b c", (-1.0, -1.0, -1.0)), output("a b d", (-1.1, -0.7, -9.0))

    assert outputs.logprob_distance_nat(base, other) == pytest.approx(0.2)
    assert outputs.exact_match(base, other) == 0
    assert outputs.logprob_distance_nat(output("a"), output("a")) is None
    row = next(
        r for r in outputs.rows({"base": output("a"), "x": output("a")}, (), host="h", canonical=True) if r[2] != "exact_match"
    )
    assert row[3:] == (None, None, None, None, None, None, "measured", outputs.NO_LOGPROBS, "h", True)


def test_an_output_survives_its_file() -> None:
    """JSON and back."""
    one = output("a b", (-1.0, -2.0), ("yes",))

    assert Output.of_json(json.loads(json.dumps(one.as_json()))) == one


def test_counters_of_metrics_and_of_json() -> None:
    """Labels select and describe; a value that is no number is no amount."""
    text = 'hits_total{from="a"} 2\nhits_total{from="b"} 3\ninfo{dtype="fp8"} 1\nbad nan\n# HELP hits_total x'
    found = readback.prometheus(text)

    assert (found["hits_total"], found['hits_total{from="b"}'], found["info.dtype"]) == ("5.0", "3.0", "fp8")
    from deltastack.engine.declaration import Counter

    counter = Counter(source="m", key="hits_total", scale=0.5)
    assert readback.amount({"m": found}, counter) == 2.5
    assert readback.amount({"m": {"hits_total": "off"}}, counter) is None
    assert readback.amount({}, counter) is None


def test_an_expectation_is_met_or_told() -> None:
    """Equal, found, not found, and a name that is not there."""
    from deltastack.engine.techniques import Expectation

    values = {"a": "true", "text": "async scheduling is off"}

    def mismatch(**one: str) -> str | None:
        return readback._mismatch(params.parse({"source": "s", **one}, Expectation, "x"), values)

    assert mismatch(key="a", equals="true") is None
    assert mismatch(key="a", equals="false") == "s a is 'true', wanted 'false'"
    assert mismatch(matches="scheduling is on") == "the log has no 'scheduling is on'"
    assert mismatch(absent="is off") == "the log says 'is off'"
    assert mismatch(absent="is on") is None
    assert mismatch(key="b", equals="true") == "s b is not there"
