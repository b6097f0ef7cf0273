"""Values from params/: YAML in, frozen types out, every breach named at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from pydantic import ValidationError

from deltastack.errors import ParamsError
from deltastack.model import Params

if TYPE_CHECKING:
    from pathlib import Path

P = TypeVar("P", bound=Params)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in ``path``.

    Raises:
        ParamsError: No such file, not YAML, or not a mapping.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"no such parameter file: {path}") from None
    except yaml.YAMLError as error:
        raise ParamsError(f"{path.name} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        raise ParamsError(f"{path.name} holds {type(value).__name__}, wanted a mapping of names to values")
    return value


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
        breaches = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']} (found {_short(e['input'])})" for e in error.errors()
        )
        raise ParamsError(f"{where}: {breaches}") from error


def _short(value: object) -> str:
    words = repr(value)
    return words if len(words) < 60 else f"{words[:57]}..."  # noqa: PLR2004 - one line of a terminal
