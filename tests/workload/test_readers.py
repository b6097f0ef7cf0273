"""Readers: facts of the published formats, and every bad input with the message it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.contracts import WORKLOAD
from deltastack.errors import WorkloadError
from deltastack.workload.images import ImageRule
from deltastack.workload.readers import read, sniff
from tests.workload.samples import LLM_2023, LMM_2024, MOONCAKE, REAL, write

if TYPE_CHECKING:
    from pathlib import Path

RULE = ImageRule(tokens_per_image=196, least_text_tokens=16)


def test_llm_2023(tmp_path: Path) -> None:
    """Seven digits of fraction, no newline at the end: 374 in, 44 out, the second 4.314579 s later."""
    found = read(write(tmp_path, LLM_2023), RULE)

    first = found.frame.iloc[0]
    assert found.format == "azure_llm_2023"
    assert (first.prompt_tokens, first.output_tokens, first.images, first.arrival_s) == (374, 44, 0, 0.0)
    assert found.frame.arrival_s.iloc[1] == pytest.approx(4.314579, abs=1e-9)
    assert found.frame.prefix_tokens.isna().all()


def test_the_real_trace_where_it_is_at_hand() -> None:
    """19,366 requests, first row 374, 44; without the file the same facts are held on the embedded sample above."""
    if not REAL.is_file():
        assert LLM_2023.splitlines()[1].endswith("374,44")
        return

    found = read(REAL, RULE)

    assert len(found.frame) == 19_366
    assert tuple(found.frame.iloc[0][["prompt_tokens", "output_tokens"]]) == (374, 44)
    assert found.dropped == 0


def test_lmm_2024(tmp_path: Path) -> None:
    """Images are counted; one tile takes 196 tokens of 949, four take 784 of 964."""
    found = read(write(tmp_path, LMM_2024), RULE)

    assert found.format == "azure_lmm_2024"
    assert found.frame.images.tolist() == [0, 1, 4]
    assert found.frame.image_tokens.tolist() == [0, 196, 784]
    assert found.frame.arrival_s.tolist() == pytest.approx([0.0, 5.55, 6.244])


def test_mooncake(tmp_path: Path) -> None:
    """Milliseconds become seconds; blocks of 512 seen before are prefix: 0, then 1024, then 511 (one token is new)."""
    found = read(write(tmp_path, MOONCAKE, "t.jsonl"), RULE)

    assert found.format == "mooncake"
    assert found.frame.arrival_s.tolist() == [0.0, 0.5, 2.0]
    assert found.frame.prefix_tokens.tolist() == [0, 1024, 511]


def test_our_own_parquet(tmp_path: Path) -> None:
    """What was written by the contract is read back equal; a truncated file is refused."""
    frame = read(write(tmp_path, LMM_2024), RULE).frame
    path = tmp_path / "w.parquet"
    WORKLOAD.write(frame, path)

    pd.testing.assert_frame_equal(read(path, RULE).frame, frame, check_dtype=False)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(WorkloadError, match=r"w\.parquet: no table of .* \(not a readable Parquet file .*; generate it again"):
        read(path, RULE)


@given(st.integers(0, 600), st.integers(1, 40_000), st.integers(1, 1000), st.integers(0, 100))
def test_image_tokens_lie_between_one_an_image_and_the_context(images: int, prompt: int, per_image: int, text: int) -> None:
    """None without images, at least one each, never more than asked nor than the prompt leaves."""
    prompt = max(prompt, images)
    rule = ImageRule(tokens_per_image=per_image, least_text_tokens=text)

    tokens = int(rule.tokens(np.array([images]), np.array([prompt]))[0])

    assert images <= tokens <= min(images * per_image, prompt)
    assert tokens == images * per_image or tokens >= prompt - text


BAD = {
    "negative tokens": ("2023-11-16 18:15:52.0,-5,4", "line 5: prompt tokens below 1"),
    "zero tokens": ("2023-11-16 18:15:52.0,5,0", "line 5: output tokens below 1"),
    "not a number": ("2023-11-16 18:15:52.0,many,4", "line 5: prompt tokens cannot be read"),
    "half a token": ("2023-11-16 18:15:52.0,5,4.5", "line 5: output tokens not whole"),
    "infinite": ("2023-11-16 18:15:52.0,inf,4", "line 5: prompt tokens cannot be read"),
    "no time": ("yesterday,5,4", "line 5: timestamp cannot be read"),
    "backwards": ("2023-11-16 18:15:40.0,5,4", "line 5: time runs backwards"),
    "too many columns": ("2023-11-16 18:15:52.0,5,4,9", "line 5: 4 columns, wanted 3"),
    "too few columns": ("2023-11-16 18:15:52.0,5", "line 5: 2 columns, wanted 3"),
    "empty line": ("\n2023-11-16 18:15:52.0,5,4", "line 5: timestamp cannot be read, prompt tokens cannot be read"),
    "two faults": ("yesterday,-1,4", "line 5: timestamp cannot be read, prompt tokens below 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_row_is_refused_by_line(case: str, tmp_path: Path) -> None:
    """Every kind of bad row names its line and what is wrong, counts all, and tells the way out."""
    row, words = BAD[case]

    with pytest.raises(WorkloadError) as error:
        read(write(tmp_path, f"{LLM_2023}\n{row}\n"), RULE)

    assert f"1 bad rows: {words}" in str(error.value)
    assert "--drop-bad" in str(error.value)


def test_bad_rows_are_dropped_on_request_and_counted(tmp_path: Path) -> None:
    """Torn and wrong rows go, good rows stay with their values; line numbers count the torn ones."""
    text = f"{LLM_2023}\n1,2\n2023-11-16 18:15:40.0,5,4\n2023-11-16 18:15:53.0,7,8\n"
    path = write(tmp_path, text)

    with pytest.raises(WorkloadError, match=r"2 bad rows: line 5: 2 columns, wanted 3; line 6: time runs backwards"):
        read(path, RULE)
    found = read(path, RULE, drop_bad=True)
    assert found.dropped == 2
    assert found.frame.prompt_tokens.tolist() == [374, 396, 879, 7]


def test_more_images_than_tokens_is_a_bad_row(tmp_path: Path) -> None:
    """Nine tiles do not fit in five tokens."""
    with pytest.raises(WorkloadError, match="line 5: more images than prompt tokens"):
        read(write(tmp_path, f"{LMM_2024}2024-10-15T12:00:07.0Z,9,5,3\n"), RULE)


def test_many_bad_rows_are_all_counted_and_some_listed(tmp_path: Path) -> None:
    """Of thirty bad rows twenty are listed and ten are counted."""
    rows = "\n".join("2023-11-16 18:15:52.0,-1,1" for _ in range(30))

    with pytest.raises(WorkloadError, match=r"30 bad rows: .*; and 10 more"):
        read(write(tmp_path, f"{LLM_2023}\n{rows}\n"), RULE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file is empty"),
        ("TIMESTAMP,ContextTokens\n", "wrong header 'TIMESTAMP,ContextTokens'"),
        ("\x00\x01\n", r"wrong header '\\x00\\x01'"),
        ("a,b,c\n1,2,3\n", "known are: TIMESTAMP,ContextTokens,GeneratedTokens"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "no request in it"),
    ],
)
def test_a_file_that_is_no_trace_is_refused(text: str, words: str, tmp_path: Path) -> None:
    """Empty files, wrong headers and headers without rows say what was wanted."""
    with pytest.raises(WorkloadError, match=words.replace(".", r"\.")):
        read(write(tmp_path, text), RULE)


def test_only_bad_rows_leave_nothing(tmp_path: Path) -> None:
    """Dropping every row is refused with their number."""
    with pytest.raises(WorkloadError, match="all 1 rows are bad"):
        read(write(tmp_path, "TIMESTAMP,ContextTokens,GeneratedTokens\nx,1,1\n"), RULE, drop_bad=True)


def test_a_broken_json_line_is_named(tmp_path: Path) -> None:
    """A line that is no JSON, and one without a field, are named by number."""
    text = MOONCAKE + "{not json\n" + '{"timestamp": 3000, "input_length": 5}\n'

    with pytest.raises(WorkloadError, match=r"line 4: no Mooncake row .*line 5: no Mooncake row"):
        read(write(tmp_path, text), RULE)


def test_unknown_names_are_refused_with_the_known(tmp_path: Path) -> None:
    """A missing file, an unknown format, and a format that the header contradicts."""
    path = write(tmp_path, LLM_2023)

    with pytest.raises(WorkloadError, match=r"no such trace: .*absent\.csv; wanted a file: TIMESTAMP,.* \| Mooncake JSON lines"):
        read(tmp_path / "absent.csv", RULE)
    with pytest.raises(WorkloadError, match="is a directory; wanted a file"):
        read(tmp_path, RULE)
    with pytest.raises(WorkloadError, match="there are: azure_llm_2023, azure_lmm_2024, mooncake, bailian, burstgpt, deltastack"):
        read(path, RULE, kind="sharegpt")
    with pytest.raises(WorkloadError, match="not that of azure_lmm_2024"):
        read(path, RULE, kind="azure_lmm_2024")
    assert sniff(path) == "azure_llm_2023"
