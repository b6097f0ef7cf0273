"""What the command line may choose: values in params/, changed in place so that DVC sees them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from deltastack.errors import ParamsError
from deltastack.layers import layer, techniques
from deltastack.params import read_yaml
from tasks import stage_runner

if TYPE_CHECKING:
    from pathlib import Path

EFFORTS = ("default", "quick", "long")


def set_effort(root: Path, effort: str) -> None:
    """Write ``effort`` to params/stack.yaml, comments kept; the file is untouched if it says so already.

    Raises:
        ParamsError: There is no such effort.
    """
    if effort not in EFFORTS:
        raise ParamsError(f"no effort '{effort}'; there are: {', '.join(EFFORTS)}")
    edit(root / "params" / "stack.yaml", {"effort": effort})


def layers(root: Path) -> list[str]:
    """The layers that params/stack.yaml names.

    Raises:
        ParamsError: The file is absent.
    """
    return [str(name) for name in _opened(root / "params" / "stack.yaml")[1]["layers"]]


def add_values(root: Path) -> list[str]:
    """Copy into params/layers the values of stacked layers that a package brings, where DVC sees them; the layers' names.

    Raises:
        ParamsError: params/stack.yaml is absent.
        UnknownNameError: It names a layer that nobody has.
    """
    found = []
    for name in layers(root):
        own, brought = root / techniques.FOLDER / f"{name}.yaml", layer(name).values
        if brought and not own.is_file():
            stage_runner.write(own, brought.read_text(encoding="utf-8"))
            found.append(name)
    return found


def add_scene(root: Path, name: str) -> None:
    """Give a scene of params/scenes its stages, if it has none: its name in ``scenes`` and ``factorials`` of params/stack.yaml.

    Raises:
        ParamsError: The file is absent.
    """
    path = root / "params" / "stack.yaml"
    yaml, content = _opened(path)
    if name in content["scenes"]:
        return
    content["scenes"].append(name)
    first = content["factorials"][content["scene"]]
    content["factorials"][name] = dict(first) | {"input": f"params/scenes/{name}.yaml", "after": f"data/baseline/{name}.parquet"}
    _written(path, yaml, content)


def edit(path: Path, values: dict[str, Any]) -> None:
    """Set top-level ``values`` in a YAML file, whole or not at all, comments kept.

    Raises:
        ParamsError: The file is absent.
    """
    yaml, content = _opened(path)
    if all(content.get(k) == v for k, v in values.items()):
        return
    content.update(values)
    _written(path, yaml, content)


def edit_ranges(path: Path, group: str, ranges: dict[str, dict[str, Any]]) -> None:
    """Set the parts of ranges (``value``, ``low``, ...) below a top-level group, whole or not at all, comments kept.

    Raises:
        ParamsError: The file, the group or one of its ranges is absent.
    """
    yaml, content = _opened(path)
    missing = [name for name in ranges if not isinstance((content.get(group) or {}).get(name), dict)]
    if missing:
        raise ParamsError(f"{path.name}: no range {', '.join(f'{group}.{name}' for name in missing)} to set")
    for name, parts in ranges.items():
        content[group][name].update(parts)
    _written(path, yaml, content)


def _opened(path: Path) -> tuple[Any, Any]:
    """The YAML reader that keeps comments, and the content."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096  # one range a line, as in the files
    read_yaml(path)
    return yaml, yaml.load(path.read_text(encoding="utf-8-sig"))


def _written(path: Path, yaml: Any, content: Any) -> None:
    text = io.StringIO()
    yaml.dump(content, text)
    stage_runner.write(path, text.getvalue())
