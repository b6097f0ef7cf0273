"""What the command line may choose: values in params/, changed in place so that DVC sees them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from deltastack.errors import ParamsError
from tasks import entry

if TYPE_CHECKING:
    from pathlib import Path

PROFILES = ("default", "quick")


def set_profile(root: Path, profile: str) -> None:
    """Write ``profile`` to params/stack.yaml, comments kept; the file is untouched if it says so already.

    Raises:
        ParamsError: There is no such profile.
    """
    if profile not in PROFILES:
        raise ParamsError(f"no profile '{profile}'; there are: {', '.join(PROFILES)}")
    edit(root / "params" / "stack.yaml", {"profile": profile})


def edit(path: Path, values: dict[str, Any]) -> None:
    """Set top-level ``values`` in a YAML file, whole or not at all, comments kept.

    Raises:
        ParamsError: The file is absent.
    """
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 130
    if not path.is_file():
        raise ParamsError(f"no such parameter file: {path}")
    content = yaml.load(path.read_text())
    if all(content.get(k) == v for k, v in values.items()):
        return
    content.update(values)
    text = io.StringIO()
    yaml.dump(content, text)
    entry.write(path, text.getvalue())
