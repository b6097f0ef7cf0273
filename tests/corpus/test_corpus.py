"""A thousand and more bad inputs: each is taken because it holds, or refused in one line; no traceback, no hang, no silence.

The same inputs every time. ``python -m benchmarks.corpus`` tries more of each.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from tests.corpus import params_files
from tests.corpus.answers import answer
from tests.corpus.files import KINDS, MOST_EXAMPLES, Kind

if TYPE_CHECKING:
    from pathlib import Path

PARAMS = params_files.HOME / "params"
FILES = sorted(p.relative_to(PARAMS).as_posix() for p in PARAMS.rglob("*.yaml"))
MOST_CASES = 40


@pytest.mark.parametrize("file", FILES)
def test_params(file: str, tmp_path: Path) -> None:
    """Places of each file, with each kind of wrong value: what no number or text can be is never taken."""
    root = params_files.project(tmp_path)
    read, path = params_files.readers(root)[file], root / "params" / file
    read()
    for case, data, value in params_files.cases(root, file, MOST_CASES):
        path.write_bytes(data)
        found = answer(read)
        assert not (found.taken and params_files.must_be_refused(case, value)), f"taken in silence: {case.name}"
        assert found.taken or path.stem in found.words, f"{case.name}, no file in: {found.words}"


@pytest.mark.parametrize("file", FILES)
def test_a_key_given_twice(file: str, tmp_path: Path) -> None:
    """In every YAML file of params, at its top or in the first entry of its list: refused, with both lines."""
    root = params_files.project(tmp_path)
    read, path = params_files.readers(root)[file], root / "params" / file
    lines = path.read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if re.match(r"(- )?[a-z_]+:", line))
    key = re.findall(r"[a-z_]+", lines[at])[0]
    mark = "- " if lines[at].startswith("- ") else ""
    rest = " " * len(mark) + lines[at].removeprefix(mark)
    path.write_text("\n".join([*lines[:at], f"{mark}{key}: 1", rest, *lines[at + 1 :]]) + "\n")

    found = answer(read)
    assert f"line {at + 2}: key '{key}' stands in line {at + 1} already" in found.words
    assert path.stem in found.words


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
def test_files(kind: Kind, tmp_path: Path) -> None:
    """Damaged and absurd files of each kind, in process."""
    path = tmp_path / kind.name

    @settings(max_examples=MOST_EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(kind.made)
    def tried(data: bytes) -> None:
        path.write_bytes(data)
        answer(lambda: kind.read(path))

    tried()


def test_there_are_a_thousand(tmp_path: Path) -> None:
    """Cases of params are counted; each kind of file has its examples beside them."""
    root = params_files.project(tmp_path)
    assert sum(1 for file in FILES for _ in params_files.cases(root, file, MOST_CASES)) > 1000
