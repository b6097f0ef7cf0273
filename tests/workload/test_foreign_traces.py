"""Traces of other houses told apart, and what is refused by name; prefixes with the room in which they are still there."""

from __future__ import annotations

import bz2
import gzip
import json
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.errors import WorkloadError
from deltastack.workload import block_traces
from deltastack.workload.images import ImageRule
from deltastack.workload.prefixes import Recency
from deltastack.workload.raw import MOST_TOKENS
from deltastack.workload.readers import read
from tests.workload.samples import LLM_2023, MOONCAKE, write

if TYPE_CHECKING:
    from pathlib import Path

RULE = ImageRule(tokens_per_image=196, least_text_tokens=16)
HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"


def row(**more: Any) -> str:
    """One Mooncake row."""
    return json.dumps({"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [1, 2]} | more) + "\n"


def test_bailian_counts_in_seconds_and_blocks_of_16(tmp_path: Path) -> None:
    """0.5 s apart; the second prompt of 40 tokens brings 2 of its 3 blocks again: 32 tokens, still there in 48."""
    first = {"chat_id": 1, "parent_chat_id": -1, "timestamp": 1.0, "input_length": 40, "output_length": 5, "turn": 1}
    rows = [first | {"hash_ids": [7, 8, 9]}, first | {"chat_id": 2, "timestamp": 1.5, "hash_ids": [7, 8, 10]}]
    found = read(write(tmp_path, "".join(json.dumps(r) + "\n" for r in rows), "t.jsonl"), RULE)

    assert found.format == "bailian"
    assert found.frame["arrival_s"].tolist() == [0.0, 0.5]
    assert found.frame["prefix_tokens"].tolist() == [0, 32]
    assert found.frame["reuse_tokens"].tolist() == [0, 48]
    assert found.frame["reuse_requests"].tolist() == [0, 1]
    with pytest.raises(WorkloadError, match="as Bailian has, in seconds and blocks of 16 tokens: --format bailian"):
        read(tmp_path / "t.jsonl", RULE, kind="mooncake")


def test_blocks_that_do_not_fit_the_prompt_are_another_format(tmp_path: Path) -> None:
    """92 blocks of 512 tokens are no prompt of 1,466: as long as they are called so, nothing is counted."""
    path = write(tmp_path, row(input_length=1466, hash_ids=list(range(92))), "t.jsonl")
    with pytest.raises(WorkloadError, match=r"line 1: .*92 blocks of 512 tokens in a prompt of 1466: blocks of another size"):
        read(path, RULE)


def test_burstgpt(tmp_path: Path) -> None:
    """Seconds, and a request that failed is a bad row; more columns of a later release do no harm."""
    text = BURST + "5,ChatGPT,472,18,490,Conversation log\n45.5,GPT-4,1087,0,1087,API log\n99,ChatGPT,417,276,693,API log\n"
    path = write(tmp_path, text)

    with pytest.raises(WorkloadError, match="1 bad rows: line 3: output tokens below 1"):
        read(path, RULE)
    found = read(path, RULE, drop_bad=True)
    assert (found.format, found.dropped) == ("burstgpt", 1)
    assert found.frame["arrival_s"].tolist() == [0.0, 94.0]
    later = BURST.replace("Model", "Session ID,Elapsed time,Model")
    assert read(write(tmp_path, later + "5,a,1.5,ChatGPT,472,18,490,Conversation log\n"), RULE).format == "burstgpt"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (gzip.compress(LLM_2023.encode()), "packed with gzip; unpack it first"),
        (bz2.compress(LLM_2023.encode()), "packed with bzip2"),
        (gzip.compress(b"\0" * 10_000_000), "packed with gzip"),
        (b"\x28\xb5\x2f\xfd\x00", "packed with zstd"),
        (
            b'{"request_id": 1, "timestamp": 0.1, "input_tokens": 3, "output_tokens": 4}\n',
            "ServeGen's requests are to be written",
        ),
        (HEADER.encode() + b"2023-11-16 18:17:03,4\xe9,10\n", "no CSV that can be read"),
        (row().encode("utf-16"), "UTF-16; save the file as UTF-8"),
        (row().encode() + b'{"x":"\xe9"}\n', "byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (LLM_2023.replace("\n", "\r").encode(), "line ends are CR only; save it with LF line ends"),
    ],
)
def test_refused_by_name(data: bytes, said: str, tmp_path: Path) -> None:
    """One line that says what the file is, and what to do."""
    path = tmp_path / "trace.csv"
    path.write_bytes(data)
    with pytest.raises(WorkloadError) as found:
        read(path, RULE)

    assert said in str(found.value)
    assert "\n" not in str(found.value)


def test_a_name_alone_makes_no_file_packed(tmp_path: Path) -> None:
    """A plain CSV that is called .gz is read as what it is."""
    assert len(read(write(tmp_path, LLM_2023, "trace.csv.gz"), RULE).frame) == 3


@pytest.mark.parametrize("tokens", [str(MOST_TOKENS + 1), "1e15", "1e18", "1e308", "99999999999999999999"])
def test_more_tokens_than_any_context(tokens: str, tmp_path: Path) -> None:
    """Refused by its line, without a warning and without a word of dvc."""
    with pytest.raises(WorkloadError, match=r"1 bad rows: line 2: prompt tokens too large .*Mend them, or leave them out"):
        read(write(tmp_path, f"{HEADER}2023-11-16 18:17:03,{tokens},10\n2023-11-16 18:17:04,3180,8\n"), RULE)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"input_length": "600"}, "field 'input_length' is '600', wanted a number"),
        ({"output_length": True}, "field 'output_length' is 'True', wanted a number"),
        ({"timestamp": None}, "field 'timestamp' is 'None', wanted a number"),
        ({"input_length": 10**400}, "field 'input_length' is too large"),
        ({"hash_ids": "12"}, "field 'hash_ids' is no list of whole numbers"),
        ({"hash_ids": [1.5]}, "field 'hash_ids' is no list of whole numbers"),
        ({"timestamp": float("inf")}, "timestamp cannot be read"),
        ({"timestamp": 1e15}, "more than a year from the row in the middle"),
        ({"input_length": float("nan")}, "prompt tokens cannot be read"),
        ({"input_length": float("inf")}, "prompt tokens too large"),
    ],
)
def test_a_field_of_another_kind_is_named(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    """Its line, the field and what was found."""
    with pytest.raises(WorkloadError, match="1 bad rows: line 2: ") as found:
        read(write(tmp_path, row() + row(**changed), "t.jsonl"), RULE)
    assert said in str(found.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"timestamp": 0, "input_length": 6, "input_length": 7, "output_length": 5}', "key 'input_length' is given twice"),
        ("[1]", "a JSON list, wanted an object"),
        ('{"input_length": 3, "output_length": ' + "[" * 50_000, "maximum recursion"),
        ('{"input_length": ' + "9" * 5000 + "}", "Exceeds the limit"),
    ],
)
def test_a_line_that_is_no_object_is_named(line: str, said: str, tmp_path: Path) -> None:
    """Also where Python's own reader would end the command."""
    with pytest.raises(WorkloadError, match=r"line 2: no Mooncake row") as found:
        read(write(tmp_path, row() + line + "\n", "t.jsonl"), RULE)
    assert said in str(found.value)


def test_hashes_may_be_absent_and_a_mark_may_stand_before_them(tmp_path: Path) -> None:
    """Without hash_ids nothing is known of prefixes; with them in the first row, a later row without them is bad."""
    lines = MOONCAKE.splitlines(keepends=True)
    bare = "".join(json.dumps({k: v for k, v in json.loads(x).items() if k != "hash_ids"}) + "\n" for x in lines)

    assert read(write(tmp_path, bare, "t.jsonl"), RULE).frame["prefix_tokens"].isna().all()
    assert read(write(tmp_path, "\ufeff" + MOONCAKE, "t.jsonl"), RULE).frame["prefix_tokens"].tolist() == [0, 1024, 511]
    with pytest.raises(WorkloadError, match=r"line 2: no Mooncake row .field 'hash_ids' is missing here"):
        read(write(tmp_path, lines[0] + bare.splitlines()[1] + "\n", "t.jsonl"), RULE)


def test_one_row_ahead_of_time_is_the_bad_one(tmp_path: Path) -> None:
    """Of ten rows the third is ten years ahead: it goes, and nine stay."""
    stamps = [f"2023-11-16 18:17:{s:02}" for s in range(10)]
    stamps[2] = "2033-11-16 18:17:02"
    path = write(tmp_path, HEADER + "".join(f"{t},5,4\n" for t in stamps))

    with pytest.raises(WorkloadError, match="1 bad rows: line 4: time runs ahead of the rows after it"):
        read(path, RULE)
    found = read(path, RULE, drop_bad=True)
    assert (found.dropped, len(found.frame), found.frame["arrival_s"].max()) == (1, 9, 9.0)


@pytest.mark.parametrize(("first", "last"), [("2013", "2023"), ("2021", "2023"), ("2023", "2033"), ("2023", "2025")])
def test_rows_years_away_are_the_bad_ones(tmp_path: Path, first: str, last: str) -> None:
    """Of eleven rows one or two at either end are years away: they go, and the others stay."""
    years = {0: first, 9: last, 10: last}
    path = write(tmp_path, HEADER + "".join(f"{years.get(s, '2023')}-11-16 18:17:{s:02},5,4\n" for s in range(11)))
    away = sum(year != "2023" for year in years.values())

    with pytest.raises(WorkloadError, match="more than a year from the row in the middle"):
        read(path, RULE)
    found = read(path, RULE, drop_bad=True)
    assert (found.dropped, len(found.frame)) == (away, 11 - away)
    assert found.frame["arrival_s"].max() < 60


def test_most_rows_are_never_dropped(tmp_path: Path) -> None:
    """Three bad rows of four are another format, and no few bad rows."""
    text = HEADER + "2023-11-16 18:17:03,5,4\n" + "x,5,4\n" * 3
    with pytest.raises(WorkloadError, match="most rows would go; this is another format or a damaged file"):
        read(write(tmp_path, text), RULE, drop_bad=True)


def lru(rows: list[list[int]], room: int, of: int) -> int:
    """Leading blocks that row ``of`` finds in a cache that forgets what was used longest ago: the slow twin."""
    held: OrderedDict[int, None] = OrderedDict()
    for row in rows[:of]:
        for block in reversed(row):
            held[block] = None
            held.move_to_end(block)
        while len(held) > room:
            held.popitem(last=False)
    known = 0
    while known < len(rows[of]) and rows[of][known] in held:
        known += 1
    return known


@given(st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True), min_size=1, max_size=12))
def test_the_room_is_that_of_a_cache_that_forgets(rows: list[list[int]]) -> None:
    """With the room that is told, a cache has the whole prefix; no more is ever found, and with everything kept, just that."""
    recency = Recency(block_tokens=1)
    for at, row in enumerate(rows):
        seen = recency.take(tuple(row), 100.0)
        assert lru(rows, room=100, of=at) == seen.prefix_tokens
        assert lru(rows, room=int(seen.reuse_tokens), of=at) == seen.prefix_tokens
        if seen.prefix_tokens:
            last = row[int(seen.prefix_tokens) - 1]
            assert seen.reuse_requests == sum(last in r for r in rows[:at])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 5))
def test_distances_do_not_depend_on_the_unit(ids: list[int], size: int) -> None:
    """Blocks of n tokens are n times as far apart as blocks of one."""
    one, many = Recency(1), Recency(size)
    for i in ids:
        a, b = one.take((i,), 1e9), many.take((i,), 1e9)
        assert np.multiply(a[:2], size).tolist() == list(b[:2])


def test_reuse_is_asked_of_blocks_alone() -> None:
    """A row without hashes observes nothing."""
    with pytest.raises(WorkloadError, match=r"line 1: no Mooncake row .field 'hash_ids' is missing, so nothing can be observed"):
        block_traces.blocks(['{"timestamp": 0, "input_length": 5, "output_length": 5}'])
