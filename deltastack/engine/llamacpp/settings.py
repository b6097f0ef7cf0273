"""Settings of the engine by name: ``key=value`` words onto the engine's parameter objects, each with its own type.

A key is a dotted attribute (``mmproj.path``, ``cpuparams.n_threads``). A value takes the type that the attribute has now.
Enumerations go by the end of their constant's name, in lower case: ``cache_type_k=q8_0``, ``flash_attn_type=disabled``.
"""

from __future__ import annotations

import difflib
from enum import IntEnum
from typing import TYPE_CHECKING

from deltastack.errors import ParamsError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Iterable

_BOOLEANS = {"true": True, "false": False}
_SCALARS = (bool, int, float, str, list, set)


def split(words: Iterable[str]) -> dict[str, str]:
    """``key=value`` words as a mapping.

    Raises:
        ParamsError: A word without ``=``, or a key with two values.
    """
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ParamsError(f"--set {word}: wanted key=value")
        if found.get(key, value) != value:
            raise ParamsError(f"--set {key}: given twice ({found[key]} and {value}); keep one")
        found[key] = value
    return found


def put(target: object, key: str, text: str) -> None:
    """Set the dotted attribute ``key`` of ``target`` to ``text``, read as the type that is there now.

    Args:
        target: The engine's parameter object.
        key: Dotted name of a plain attribute.
        text: The value in words.

    Raises:
        UnknownNameError: No such setting, or a word that is no member of an enumeration.
        ParamsError: A value of another type, or a group of settings in the place of one.
    """
    *path, last = key.split(".")
    owner = target
    for step in path:
        owner = _child(owner, step, key)
    present = _child(owner, last, key)
    if not isinstance(present, _SCALARS):
        raise ParamsError(f"setting '{key}' is a group; it has: {', '.join(_names(present))}")
    setattr(owner, last, _read(key, present, text))


def words(target: object, key: str) -> str:
    """The value of the dotted attribute ``key``, in the words that ``put`` takes.

    Raises:
        UnknownNameError: No such setting.
    """
    present = target
    for step in key.split("."):
        present = _child(present, step, key)
    return _word(present)


def _word(value: object) -> str:
    if isinstance(value, IntEnum):
        return short(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | set):
        return ",".join(map(_word, sorted(value, key=str) if isinstance(value, set) else value))
    return str(value)


def short(member: IntEnum) -> str:
    """The end of a constant's name: what is left without the words that all its neighbours begin with.

    >>> from enum import IntEnum
    >>> Kind = IntEnum("Kind", {"GGML_TYPE_Q8_0": 8, "GGML_TYPE_F16": 1})
    >>> short(Kind.GGML_TYPE_Q8_0)
    'q8_0'
    """
    parts = [m.name.split("_") for m in type(member)]
    shared = 0
    while all(len(p) > shared + 1 for p in parts) and len({p[shared] for p in parts}) == 1:
        shared += 1
    return "_".join(member.name.split("_")[shared:]).lower()


def _read(key: str, present: object, text: str) -> object:
    if isinstance(present, IntEnum):
        return _member(key, type(present), text)
    if isinstance(present, list | set):
        sample = next(iter(present), "")
        items = [_read(key, sample, t) for t in text.split(",") if t]
        return set(items) if isinstance(present, set) else items
    if isinstance(present, bool):
        return _boolean(key, text)
    if isinstance(present, int | float):
        return _number(key, type(present), text)
    return text


def _member(key: str, kind: type[IntEnum], text: str) -> IntEnum:
    known = {short(m): m for m in kind}
    if text.lower() not in known:
        raise UnknownNameError(f"setting '{key}' has no value '{text}'; it takes: {', '.join(sorted(known))}")
    return known[text.lower()]


def _boolean(key: str, text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise ParamsError(f"setting '{key}' takes true or false, found '{text}'")
    return _BOOLEANS[text.lower()]


def _number(key: str, kind: type[int | float], text: str) -> int | float:
    try:
        return kind(text)
    except ValueError:
        raise ParamsError(f"setting '{key}' takes {kind.__name__}, found '{text}'") from None


def _child(owner: object, step: str, key: str) -> object:
    if step.startswith("_") or step not in _names(owner):
        near = difflib.get_close_matches(step, _names(owner), n=3) or _names(owner)[:5]
        raise UnknownNameError(f"this engine has no setting '{key}'; near: {', '.join(near)}")
    return getattr(owner, step)


def _names(owner: object) -> list[str]:
    return [n for n in dir(owner) if not n.startswith("_") and not callable(getattr(owner, n))]
