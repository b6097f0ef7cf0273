"""The audit of the pins: known holes are found, their age is told, and an index that is away is no all-clear."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts/audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_pin_is_below_a_known_bound(audit: ModuleType) -> None:
    """Every name of the list is pinned, and at or above the first release without a hole."""
    known, pins = yaml.safe_load((ROOT / "requirements/audit.yaml").read_text()), audit.read(ROOT / "constraints.txt")

    assert known["least"].keys() - pins.keys() == set()
    assert audit.below(pins, known["least"]) == []
    assert isinstance(known["pinned"], date)


def test_an_old_pin_is_found(audit: ModuleType, tmp_path: Path) -> None:
    """By release, not by text: 3.9 is before 3.12; one of two releases of a name is enough."""
    (tmp_path / "c.txt").write_text("aiohttp==3.9.0\nidna==3.20\nnumpy==2.4 ; python_full_version < '3.12'\nnumpy==2.5\n")
    least = {"aiohttp": {"release": "3.12.14", "because": "X-1"}, "numpy": {"release": "2.4.5", "because": "X-2"}}

    assert audit.below(audit.read(tmp_path / "c.txt"), least) == [
        "aiohttp 3.9.0: X-1 is mended in 3.12.14",
        "numpy 2.4: X-2 is mended in 2.4.5",
    ]


def test_the_age_of_the_pins(audit: ModuleType) -> None:
    """In days; a clock that was set back makes no pin younger than new."""
    known = {"pinned": date(2026, 11, 27)}
    assert [audit.aged(known, day) for day in (date(2027, 1, 1), date(2026, 11, 27), date(2020, 1, 1))] == [35, 0, 0]


@pytest.mark.parametrize(
    ("code", "said", "wanted"),
    [
        (0, {"name": "idna", "version": "3.20", "vulns": []}, []),
        (1, {"name": "idna", "version": "3.6", "vulns": [{"id": "CVE-2024-3651"}]}, ["idna 3.6: CVE-2024-3651"]),
        (0, {"name": "idna", "skip_reason": "not found and could not be audited"}, None),
        (1, "No module named pip_audit", None),
        (1, "requests.exceptions.ConnectionError: Max retries exceeded", None),
    ],
)
def test_what_pip_audit_says(audit: ModuleType, code: int, said: str | dict[str, object], wanted: list[str] | None) -> None:
    """Findings are findings; nobody there, or a name that could not be looked up, is None, which is no empty list."""
    text = said if isinstance(said, str) else json.dumps({"dependencies": [said], "fixes": []})
    assert audit.advisories(lambda _: (code, text)) == wanted


def test_another_failure_of_pip_audit_is_no_silence(audit: ModuleType) -> None:
    """It is told as it is."""
    with pytest.raises(SystemExit, match=r"pip-audit failed .2.: usage"):
        audit.advisories(lambda _: (2, "usage: pip-audit"))


def test_every_pin_fits_the_bounds_of_the_project(audit: ModuleType) -> None:
    """What pyproject.toml asks for, upper bounds with their reasons among them, is what is pinned."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [
        Requirement(r) for r in (*project["dependencies"], *(r for e in project["optional-dependencies"].values() for r in e))
    ]
    pins = audit.read(ROOT / "constraints.txt")
    for wanted in asked:
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        assert name in pins, f"{name} is not pinned"
        assert all(wanted.specifier.contains(release) for release in pins[name]), f"{wanted}: {pins[name]}"
