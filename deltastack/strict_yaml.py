"""YAML that people write, read strictly: UTF-8, plain values, each key once, nothing that multiplies.

YAML as DVC reads it (version 1.2): ``on`` and ``no`` are words, ``true`` and ``false`` booleans, ``1e-9`` is a number.
A key given twice, aliases that multiply, a merge key and a tag that builds anything are refused; the line is named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Hashable

_DEPTH = 100
"""Levels of mappings and lists; the files of this house have six."""
_VALUES = 1_000_000
"""Values in one document; the largest file of this house has some 5,000."""
_BOOL = "tag:yaml.org,2002:bool"
_MERGE = "tag:yaml.org,2002:merge"
_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where PyYAML was built with it: the same values, ten times as fast."""


class YamlError(ValueError):
    """Text that is no YAML of ours; the message names the line and the remedy, the caller adds the file."""


class _Loader(_Safe):  # type: ignore[misc]
    """A safe loader that names what it cannot read."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's own signature
        """The value of ``node``."""
        try:
            return super().construct_object(node, deep)
        except YamlError:
            raise
        except (ValueError, OverflowError, AttributeError, KeyError) as error:  # PyYAML's own, where a tag does not fit its text
            shown = str(node.value)[:40] if isinstance(node, yaml.ScalarNode) else node.tag
            raise YamlError(f"line {_line(node)}: {shown!r} is no {_word(node)}; write a plain value") from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: ARG002, FBT001, FBT002
        """The values of ``node`` by key."""
        lines: dict[Hashable, int] = {}
        found: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key in lines:
                raise YamlError(f"line {_line(key_node)}: key '{key}' stands in line {lines[key]} already; keep one of them")
            lines[key] = _line(key_node)
            found[key] = self.construct_object(value_node, deep=True)
        return found

    def _key(self, node: yaml.Node) -> Hashable:
        if not isinstance(node, yaml.ScalarNode) or node.tag == _MERGE:
            raise YamlError(f"line {_line(node)}: wanted a word or a number as key; write the keys out")
        key: Hashable = self.construct_object(node, deep=True)
        return key


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_EXPONENT = re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))


def document(data: bytes) -> Any:
    """The one value in ``data``; None where there is none.

    >>> document(b"a: [1, yes]")
    {'a': [1, 'yes']}

    Raises:
        YamlError: Not UTF-8, not YAML, more than one document, or what this module refuses.
    """
    found = documents(data)
    if len(found) > 1:
        raise YamlError(f"{len(found)} documents in one file; wanted one: leave out '---'")
    return found[0] if found else None


def documents(data: bytes) -> list[Any]:
    """Every value in ``data``.

    Raises:
        YamlError: As ``document``.
    """
    text = _text(data)
    loader, found = _Loader(text), []
    try:
        _refuse_deep(text)
        while loader.check_node():
            node = loader.get_node()
            _size(node, {})
            found.append(loader.construct_document(node))
    except yaml.YAMLError as error:
        raise YamlError(_in_words(error)) from error
    finally:
        loader.dispose()
    return found


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON for ``json.loads(..., object_pairs_hook=once)``.

    Raises:
        YamlError: A key given twice, which JSON's reader would pass over.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise YamlError(f"key '{next(n for n in names if names.count(n) > 1)[:40]}' is given twice; keep one of them")
    return found


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise YamlError(f"line {line}: byte 0x{data[error.start]:02x} cannot be read as UTF-8; save the file as UTF-8") from error


def _refuse_deep(text: str) -> None:
    """Refuse deep nesting event by event: libyaml's composer calls itself for each level, and 100,000 end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_Safe):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH:
            raise YamlError(f"line {_line(event)}: nested deeper than {_DEPTH} levels; write it flat")


def _size(node: yaml.Node, sizes: dict[int, int], above: int = 0) -> int:
    """How many values ``node`` holds, those behind an alias counted in each place: a few lines can say more than memory holds."""
    if above >= _DEPTH:
        raise YamlError(f"line {_line(node)}: nested in itself by an alias (*name); write the value out")
    if id(node) not in sizes:
        sizes[id(node)] = 1 + sum(_size(child, sizes, above + 1) for child in _children(node))
    if sizes[id(node)] > _VALUES:
        raise YamlError(f"line {_line(node)}: aliases (*name) that multiply to more than {_VALUES} values; write the values out")
    return sizes[id(node)]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [x for pair in node.value for x in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _line(at: Any) -> int:
    """Where a node or an event begins, counted from 1."""
    return int(at.start_mark.line) + 1


def _word(node: yaml.Node) -> str:
    """The type that a tag asks for: ``int``."""
    return str(node.tag).rpartition(":")[2]


def _in_words(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"line {mark.line + 1}: {problem}" if mark is not None else problem
