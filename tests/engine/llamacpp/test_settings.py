"""Settings by name: each takes the type that is there, and an unknown one is refused by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack.engine.llamacpp import settings
from deltastack.errors import ParamsError, UnknownNameError


class Kind(IntEnum):
    """Named as the engine names its constants."""

    GGML_TYPE_F16 = 1
    GGML_TYPE_Q8_0 = 8


@dataclass
class File:
    """A group."""

    path: str = ""


@dataclass
class Engine:
    """A stand-in for the engine's parameters."""

    n_ctx: int = 0
    scale: float = 1.0
    warm: bool = True
    kind: Kind = Kind.GGML_TYPE_F16
    kinds: list[Kind] = field(default_factory=lambda: [Kind.GGML_TYPE_F16])
    names: list[str] = field(default_factory=list)
    alias: set[str] = field(default_factory=set)
    model: File = field(default_factory=File)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("n_ctx", "4096", 4096),
        ("scale", "0.5", 0.5),
        ("warm", "false", False),
        ("kind", "q8_0", Kind.GGML_TYPE_Q8_0),
        ("kinds", "q8_0,f16", [Kind.GGML_TYPE_Q8_0, Kind.GGML_TYPE_F16]),
        ("names", "a,b", ["a", "b"]),
        ("alias", "b", {"b"}),
        ("model.path", "x=y.gguf", "x=y.gguf"),
    ],
)
def test_a_value_takes_the_type_that_is_there(key: str, text: str, value: object) -> None:
    """And reads back in the same words."""
    engine = Engine()
    settings.put(engine, key, text)
    owner = engine.model if "." in key else engine
    found = getattr(owner, key.rsplit(".", maxsplit=1)[-1])
    assert found == value
    assert type(found) is type(value)
    assert settings.words(engine, key) == text


@pytest.mark.parametrize(
    ("key", "text", "error", "said"),
    [
        ("n_ctxx", "1", UnknownNameError, "no setting 'n_ctxx'; near: n_ctx"),
        ("model.pth", "1", UnknownNameError, "near: path"),
        ("__class__", "1", UnknownNameError, "no setting"),
        ("n_ctx", "many", ParamsError, "'n_ctx' takes int, found 'many'"),
        ("scale", "wide", ParamsError, "takes float"),
        ("warm", "1", ParamsError, "takes true or false"),
        ("kind", "q9", UnknownNameError, "it takes: f16, q8_0"),
        ("model", "x", ParamsError, "is a group; it has: path"),
    ],
)
def test_what_does_not_hold_is_refused_in_one_line(key: str, text: str, error: type[Exception], said: str) -> None:
    """With what it takes instead."""
    with pytest.raises(error, match=said) as found:
        settings.put(Engine(), key, text)
    assert "\n" not in str(found.value)


def test_words_are_split_at_the_first_equals_sign() -> None:
    """A value may hold one; one key with two values is refused, the same twice is one."""
    assert settings.split(["a=b=c", "d=", "d="]) == {"a": "b=c", "d": ""}
    with pytest.raises(ParamsError, match="wanted key=value"):
        settings.split(["a"])
    with pytest.raises(ParamsError, match=r"given twice \(1 and 2\)"):
        settings.split(["a=1", "a=2"])


@given(st.integers(-(2**31), 2**31))
def test_whole_numbers_read_back(number: int) -> None:
    """Any of them."""
    engine = Engine()
    settings.put(engine, "n_ctx", str(number))
    assert settings.words(engine, "n_ctx") == str(number)


def test_every_constant_of_the_engine_has_a_word_of_its_own() -> None:
    """Else two settings would be one."""
    engine = pytest.importorskip("xllamacpp")
    kinds = [k for k in vars(engine).values() if isinstance(k, type) and issubclass(k, IntEnum)]
    assert len(kinds) > 10
    for kind in kinds:
        assert len({settings.short(m) for m in kind}) == len(list(kind)), kind
