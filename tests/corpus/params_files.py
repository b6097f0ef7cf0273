"""Every file of params, every key of it, with every kind of wrong value: one after another, in a copy."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import yaml

from deltastack import layers, params, strict_yaml
from deltastack.claims.registry import Claims
from deltastack.composition.published import published_gap, read_published
from deltastack.engine import declaration
from deltastack.fleet import accelerator, scene, settings
from deltastack.layers.techniques import chosen
from deltastack.own_runs import case_reader
from deltastack.report import context
from deltastack.stack import Stack
from deltastack.testbed import settings as testbed
from deltastack.workload import settings as workload
from tasks import engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOME = Path(__file__).parents[2]
WRONG: dict[str, Any] = {
    "text": "abc",
    "list": [1, 2],
    "mapping": {"a": 1},
    "null": None,
    "minus": -7,
    "nan": float("nan"),
    "infinite": float("inf"),
    "huge": 1e300,
    "400 digits": 10**400,
    "true": True,
    "markup": "<script>alert(1)</script>",
    "zero": 0,
}
NEVER = {"list", "mapping", "nan", "infinite", "400 digits", "text", "markup", "true"}
"""Kinds that no number may be replaced by."""
NO_TEXT = {"list", "mapping", "nan", "infinite", "400 digits", "minus", "zero", "huge", "true"}
"""Kinds that no text may be replaced by."""
DELETED = "deleted"
FREE = {"of", "fields"}
"""Mappings whose values may be anything plain."""
_ENTRIES = 3


Reader: TypeAlias = "Callable[[], object]"


class Case(NamedTuple):
    """One wrong value in one place of one file."""

    file: str
    key: tuple[object, ...]
    kind: str

    @property
    def name(self) -> str:
        """For a message."""
        return f"{self.file}: {'.'.join(map(str, self.key))} = {self.kind}"


def project(root: Path) -> Path:
    """A copy of the params alone."""
    shutil.copytree(HOME / "params", root / "params")
    (root / "dvc.yaml").write_text("")
    return root


def readers(root: Path) -> dict[str, Callable[[], object]]:
    """Who reads each file, by its path below params."""
    at = root / "params"
    found: dict[str, Callable[[], object]] = {
        "stack.yaml": lambda: params.load(at / "stack.yaml", Stack),
        "claims.yaml": lambda: params.load(at / "claims.yaml", Claims),
        "fleet.yaml": lambda: _fleet(root),
        "report.yaml": lambda: params.load(at / "report.yaml", context.View),
        "testbed.yaml": lambda: testbed.load(root),
        "workload.yaml": lambda: workload.load(root),
        "engine.yaml": lambda: params.load(at / "engine.yaml", engine.Default),
        "published_compositions.yaml": lambda: [published_gap(c) for c in read_published(at / "published_compositions.yaml")],
    }
    for path in sorted(at.rglob("*.yaml")):
        name = path.relative_to(at).as_posix()
        if name not in found:
            found[name] = _reader(root, path, name.split("/")[0])
    return found


def _reader(root: Path, path: Path, folder: str) -> Callable[[], object]:
    kinds: dict[str, Callable[[], object]] = {
        "layers": lambda: chosen(root, layers.layer(path.stem), draw=1, draws=3),
        "platforms": lambda: accelerator.load(root, path.stem),
        "scenes": lambda: _scene(root, path.stem),
        "engines": lambda: declaration.load(path),
        "published": lambda: [case_reader.experiment(c) for c in case_reader.read_cases(path)],
    }
    return kinds[folder]


def _fleet(root: Path) -> None:
    settings.load(root, draw=1, draws=3).values.deployment.deployment()


def _scene(root: Path, name: str) -> None:
    """A scene with all that it changes."""
    place = scene.load(root, name, tuple(layers.LAYERS))
    settings.load(root, scene=place)
    for layer in place.layers:
        chosen(root, layers.layer(layer), scene=place)


def cases(root: Path, file: str, most: int | None = None) -> Iterator[tuple[Case, bytes, object]]:
    """Cases of a file with the text that each makes, and the value that stood there; evenly ``most`` of them, or all.

    Of a long list the first entries stand for the rest.
    """
    tree = _shortened(strict_yaml.document((root / "params" / file).read_bytes()))
    kinds = (*WRONG, DELETED)
    found = [(Case(file, key, kind), value) for key, value in _leaves(tree) for kind in kinds if _fits(kind, value)]
    step = 1.0 if most is None else max(len(found) / most, 1.0)
    for n in range(int(len(found) / step)):
        case, value = found[int(n * step)]
        yield case, _dumped(_put(tree, case.key, WRONG.get(case.kind, DELETED))), value


def must_be_refused(case: Case, value: object) -> bool:
    """Whether taking it would be silence: a number that is none, a text that is none."""
    if FREE & set(case.key) or (case.kind == "list" and "cells" in case.key):
        return False  # a condition in words or numbers, as its author has it; readings may be several
    if isinstance(value, bool):
        return case.kind in {"list", "mapping", "nan", "infinite", "400 digits"}
    return case.kind in (NEVER if isinstance(value, int | float) else NO_TEXT if isinstance(value, str) else ())


def _fits(kind: str, value: object) -> bool:
    """Whether a kind is wrong for a value at all."""
    return kind not in ({"text", "markup"} if isinstance(value, str) else {"true"} if isinstance(value, bool) else set())


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _shortened(v) for k, v in value.items()}
    return [_shortened(v) for v in value[:_ENTRIES]] if isinstance(value, list) and _nested(value) else value


def _nested(value: list[Any]) -> bool:
    return any(isinstance(x, dict | list) for x in value)


def _leaves(value: Any, key: tuple[object, ...] = ()) -> Iterator[tuple[tuple[object, ...], object]]:
    if isinstance(value, dict):
        for k, inner in value.items():
            yield from _leaves(inner, (*key, k))
    elif isinstance(value, list) and _nested(value):
        for i, inner in enumerate(value):
            yield from _leaves(inner, (*key, i))
    else:
        yield key, value


def _put(tree: Any, key: tuple[object, ...], value: object) -> Any:
    found = copy.deepcopy(tree)
    at = found
    for k in key[:-1]:
        at = at[k]
    if value == DELETED:
        del at[key[-1]]
    else:
        at[key[-1]] = value
    return found


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        """None is written."""
        del data
        return True


def _dumped(tree: Any) -> bytes:
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True).encode()
