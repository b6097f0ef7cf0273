"""The engine's own counts: read whole, subtracted, refused where they are not there."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from deltastack.engine.llamacpp import counters
from deltastack.engine.llamacpp.counters import Count, EngineCounts
from deltastack.errors import EvidenceError

TIMINGS = {"cache_n": 3, "prompt_n": 5, "prompt_ms": 38.9, "predicted_n": 8, "predicted_ms": 79.9}
METRICS = """# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed, excluding cached tokens
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 37
llamacpp:prompt_tokens_cached_total 4
llamacpp:prompt_seconds_total 0.215689
llamacpp:tokens_predicted_total 16
llamacpp:n_decode_total 1.5e+01
llamacpp:spec_decode_num_draft_tokens_total 2
llamacpp:spec_decode_num_accepted_tokens_total 1
llamacpp:spec_decode_num_drafts_total 1
other_total 9
"""


def test_an_answer_says_what_was_computed_and_what_was_there() -> None:
    """No draft is no zero: it is missing, with the reason."""
    found = counters.of_answer({"timings": TIMINGS})
    assert (found.computed, found.cached, found.generated, found.prompt) == (5, 3, 8, 8)
    assert found.drafted == Count(None, "the answer was not decoded speculatively")
    drafted = counters.of_answer({"timings": TIMINGS | {"draft_n": 11, "draft_n_accepted": 9}})
    assert (drafted.drafted, drafted.accepted) == (Count(11), Count(9))


def test_an_answer_without_counts_is_refused() -> None:
    """By what it has, or by what is missing."""
    with pytest.raises(EvidenceError, match=r"without 'timings' \(it has: choices\)"):
        counters.of_answer({"choices": []})
    with pytest.raises(EvidenceError, match="lack cache_n, predicted_n"):
        counters.of_answer({"timings": {"prompt_n": 1}})


def test_metrics_are_read_whole() -> None:
    """Seconds, comments and other servers' metrics are left alone."""
    found = counters.of_metrics(METRICS)
    assert asdict(found) == {
        "prompt_tokens_total": 37,
        "prompt_tokens_cached_total": 4,
        "tokens_predicted_total": 16,
        "n_decode_total": 15,
        "spec_decode_num_draft_tokens_total": 2,
        "spec_decode_num_accepted_tokens_total": 1,
        "spec_decode_num_drafts_total": 1,
    }
    with pytest.raises(EvidenceError, match="lacks n_decode_total: start the engine with endpoint_metrics=true"):
        counters.of_metrics(METRICS.replace("llamacpp:n_decode_total", "x"))


def test_a_difference_is_what_happened_in_between() -> None:
    """A count that fell means another process."""
    before = counters.of_metrics(METRICS)
    after = counters.of_metrics(METRICS.replace("_total 37", "_total 40"))
    assert (after - before) == EngineCounts(**dict.fromkeys(asdict(before), 0) | {"prompt_tokens_total": 3})
    with pytest.raises(EvidenceError, match="prompt_tokens_total fell by 3"):
        _ = before - after
