"""Where the params lie: in the checkout around us, or those that came with the package."""

from __future__ import annotations

import sysconfig
import tomllib
from importlib import metadata
from pathlib import Path

from deltastack.errors import PreflightError

MARK = "dvc.yaml"
SHIPPED = "share/deltastack"
_STACK = "params/stack.yaml"


def checkout(start: Path) -> Path:
    """The nearest folder at or above ``start`` that holds dvc.yaml.

    Raises:
        PreflightError: There is none.
    """
    for folder in (start, *start.parents):
        if (folder / MARK).is_file():
            return folder
    raise PreflightError(f"no {MARK} in {start} or above it; run this inside a checkout of deltastack")


def home(start: Path | None = None) -> Path:
    """The folder whose ``params`` count: the checkout at or above ``start``, else what the package brought.

    Args:
        start: Where to look first; None takes the current folder.

    Raises:
        PreflightError: No checkout, and a package without params.
    """
    try:
        return checkout(start or Path.cwd())
    except PreflightError:
        for folder in shipped():
            if (folder / _STACK).is_file():
                return folder
        raise


def shipped() -> tuple[Path, ...]:
    """Where an installed package keeps its params: beside the package of a checkout, or in the environment's data folder."""
    return Path(__file__).resolve().parents[1], Path(sysconfig.get_path("data")) / SHIPPED


def version() -> str:
    """The version of this package, also where a checkout is used without being installed."""
    try:
        return metadata.version("deltastack")
    except metadata.PackageNotFoundError:
        project = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
        return str(project["project"]["version"])
