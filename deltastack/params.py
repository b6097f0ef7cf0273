"""Values from params/: YAML in, frozen types out, every breach named at once; ranges drawn from."""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_args

import numpy as np
from pydantic import BaseModel, Field, ValidationError, model_validator

from deltastack import strict_yaml
from deltastack.errors import ParamsError
from deltastack.model import Evidence, Params
from deltastack.strict_yaml import YamlError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

P = TypeVar("P", bound=Params)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in ``path``.

    Raises:
        ParamsError: No such file, no YAML that is read here, or not a mapping.
    """
    value = read_document(path)
    if not isinstance(value, dict):
        raise ParamsError(f"{path.name} holds {type(value).__name__}, wanted a mapping of names to values")
    return value


def read_document(path: Path) -> Any:
    """Whatever stands in ``path``; None where nothing does.

    Raises:
        ParamsError: No such file, or no YAML that is read here.
    """
    try:
        return strict_yaml.document(path.read_bytes())
    except FileNotFoundError:
        raise ParamsError(f"no such parameter file: {path}") from None
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read ({error.strerror}); wanted a YAML file") from error
    except YamlError as error:
        raise ParamsError(f"{path.name} is not YAML: {error}") from error


def load(path: Path, kind: type[P]) -> P:
    """The values in ``path`` as ``kind``.

    Raises:
        ParamsError: As ``read_yaml``, or values that ``kind`` refuses; all breaches are named.
    """
    return parse(read_yaml(path), kind, path.name)


def parse(value: object, kind: type[P], where: str) -> P:
    """``value`` as ``kind``.

    Raises:
        ParamsError: Values that ``kind`` refuses; all breaches are named.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        breaches = "; ".join(_breach(kind, e["loc"], e["type"], e["msg"], e["input"]) for e in error.errors())
        raise ParamsError(f"{where}: {breaches}") from error


def _breach(kind: type[BaseModel], loc: tuple[int | str, ...], what: str, said: str, found: object) -> str:
    """One breach in words; of a key that nobody knows, those that there are."""
    path = ".".join(map(str, loc)) or "file"
    if what != "extra_forbidden":
        return f"{path}: {said} (found {_short(found)})"
    models: list[type[BaseModel]] = [kind]
    names: list[int | str] = []
    for part in loc[:-1]:
        inside = [m.model_fields[part].annotation for m in models if part in m.model_fields]
        names += [part] if inside else []
        of_kind = [m for m in models if any(part in get_args(f.annotation) for f in m.model_fields.values())]
        models = [x for annotation in inside for x in _models(annotation)] or of_kind or models
    known = dict.fromkeys(name for m in models for name in m.model_fields)
    return f"no key '{'.'.join(map(str, (*names, loc[-1])))}'; there are: {', '.join(known)}"


def _models(annotation: object) -> list[type[BaseModel]]:
    """The models that an annotation allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [x for part in get_args(annotation) for x in _models(part)]


@contextmanager
def changed_by(file: str | None) -> Iterator[None]:
    """Name ``file``, which changes values of another, in what is refused of them.

    Raises:
        ParamsError: What was refused.
    """
    try:
        yield
    except ParamsError as error:
        if file is None or file in str(error):
            raise
        raise ParamsError(f"{error}; as {file} changes it") from error


def _short(value: object) -> str:
    words = repr(value)
    return words if len(words) < 60 else f"{words[:57]}..."  # noqa: PLR2004 - one line of a terminal


class Ranged(Params):
    """A number that is not known exactly: its central value, its range, and where they come from."""

    value: float
    low: float
    high: float
    source: str = Field(min_length=1)
    date: str = Field(min_length=4)
    evidence: Evidence

    @model_validator(mode="after")
    def _ordered(self) -> Ranged:
        """Refuse a value outside its range."""
        if not self.low <= self.value <= self.high:
            raise ValueError(f"value {self.value:g} lies outside its range {self.low:g} .. {self.high:g}")
        return self

    def at(self, quantile: float) -> float:
        """The number at ``quantile`` in 0..1: low at 0, value at 1/2, high at 1, straight between.

        >>> Ranged(value=2, low=1, high=6, source="a test", date="2026", evidence="assumed").at(0.75)
        4.0
        """
        if quantile <= 1 / 2:
            return self.low + (self.value - self.low) * 2 * quantile
        return self.value + (self.high - self.value) * (2 * quantile - 1)


def overlaid(tree: Mapping[str, Any], change: Mapping[str, Any], where: str, at: str = "") -> dict[str, Any]:
    """``tree`` with the values of ``change`` in the place of its own; mappings are merged, ranges and lists replaced whole.

    >>> overlaid({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, "x.yaml")
    {'a': {'b': 3, 'c': 2}}

    Args:
        tree: What is there.
        change: What differs.
        where: The file of ``change``, for messages.
        at: The dotted name of ``tree`` in its own file, for messages.

    Raises:
        ParamsError: A key that ``tree`` does not have; the message lists those that it has.
    """
    found = dict(tree)
    for key, value in change.items():
        name = f"{at}.{key}" if at else str(key)
        if key not in tree:
            raise ParamsError(f"{where}: no key '{name}'; there are: {', '.join(map(str, tree))}")
        nested = isinstance(value, dict) and isinstance(tree[key], dict) and not _is_range(value) and not _is_range(tree[key])
        found[key] = overlaid(tree[key], value, where, name) if nested else value
    return found


def _is_range(value: Mapping[str, Any]) -> bool:
    return value.keys() >= {"value", "low", "high"}


class Drawn(NamedTuple):
    """One set of parameters: plain numbers in the place of ranges, and how each of those is known."""

    values: dict[str, Any]
    evidence: dict[str, Evidence]
    """By dotted name, only of numbers that had a range."""


def draw(tree: Mapping[str, Any], where: str, *, number: int = 0, of: int = 1) -> Drawn:
    """Draw ``number`` of ``of`` from the ranges in ``tree``; draw 0 is the central values.

    The other draws are a Latin hypercube: each range is cut into ``of - 1`` equal shares of probability and every share is
    drawn from once. A range is seeded by its name alone, so that one draw means the same number wherever it is used.

    Args:
        tree: Mappings, in which a mapping with ``value``, ``low`` and ``high`` is a ``Ranged``.
        where: The file's name, for messages and seeds.
        number: Which draw, below ``of``.
        of: How many draws there are.

    Raises:
        ParamsError: A range that does not hold, or a draw that there is not.
    """
    if not 0 <= number < max(of, 1):
        raise ParamsError(f"{where}: no draw {number} of {of}")
    evidence: dict[str, Evidence] = {}

    def resolved(value: Any, name: str) -> Any:
        if not isinstance(value, dict):
            return value
        if not _is_range(value):
            return {k: resolved(v, f"{name}.{k}" if name else str(k)) for k, v in value.items()}
        known = parse(value, Ranged, f"{where}: {name}")
        evidence[name] = known.evidence
        return known.value if number == 0 else known.at(_quantile(f"{where}/{name}", number, of))

    return Drawn(resolved(dict(tree), ""), evidence)


def _quantile(name: str, number: int, of: int) -> float:
    """Where in the range called ``name`` draw ``number`` of ``of`` lies, in 0..1."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    shares = of - 1
    return float((random.permutation(shares)[number - 1] + random.random(shares)[number - 1]) / shares)
