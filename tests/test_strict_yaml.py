"""YAML that people write: what is refused, with its line and its remedy, and that all other values are PyYAML's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from deltastack import strict_yaml
from deltastack.strict_yaml import YamlError

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "params").rglob("*.yaml"))
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a: 1\nb: 2\na: 3\n", "line 3: key 'a' stands in line 1 already; keep one of them"),
        (b"a:\n  - {b: 1, 'b': 2}\n", "line 2: key 'b' stands in line 2 already"),
        (b"1: a\n0x1: b\n", "line 2: key '1' stands in line 1 already"),
        (LAUGHS.encode(), "multiply to more than 1000000 values; write the values out"),
        (b"a: &a [*a]\n", "line 1: nested in itself"),
        (b"a: " + b"[" * 200 + b"]" * 200, "deeper than 100 levels; write it flat"),
        (b"a: " + b"[" * 100_000, "line 1"),
        (b"b: {x: 1}\na: {<<: {x: 2}}\n", "line 2: wanted a word or a number as key"),
        (b"? [1, 2]\n: 3\n", "line 1: wanted a word or a number as key"),
        (b"a: !!int abc\n", "line 1: 'abc' is no int; write a plain value"),
        (b"a: !!float x\n", "line 1: 'x' is no float"),
        (b"a: !!timestamp never\n", "line 1"),
        (b"a: 2026-99-99\n", "line 1: '2026-99-99' is no timestamp"),
        (b"a: " + b"9" * 5000, "line 1: "),
        (b"a: !!python/object/apply:os.system ['true']\n", "line 1: could not determine a constructor"),
        (b"a: !mine 3\n", "line 1: could not determine a constructor"),
        (b"a: 1\nb: \xe9\n", "line 2: byte 0xe9 cannot be read as UTF-8; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "line 1: byte 0xff cannot be read as UTF-8"),
        (b"a: 1\n---\nb: 2\n", "2 documents in one file; wanted one"),
        (b"a: [1\n", "line 2: "),
        (b"a: \x07\n", "not allowed"),
    ],
)
def test_refused_with_its_line(text: bytes, said: str) -> None:
    """One line, a place and what to do, within the time of a test."""
    with pytest.raises(YamlError) as found:
        strict_yaml.document(text)

    assert said in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_the_files_of_this_house_are_read_as_before(path: Path) -> None:
    """The same values as the reader of YAML 1.2 gives that DVC uses; no file has a key twice."""
    assert strict_yaml.document(path.read_bytes()) == YAML(typ="safe", pure=True).load(path.read_text())


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cn")), max_size=8)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_what_was_dumped_comes_back(value: Any) -> None:
    """Every plain value that PyYAML writes is read again as it was, aliases of a few values too."""
    assert strict_yaml.document(yaml.safe_dump(value).encode()) == value


@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_one_line(data: bytes) -> None:
    """No other error, and a message of one line."""
    said = ""
    try:
        strict_yaml.documents(data)
    except YamlError as error:
        said = str(error)
    assert "\n" not in said
