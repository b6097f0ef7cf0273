"""The machine's checks look, name what is missing, and never invent a reading."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from deltastack import machine

ROOT = Path(__file__).parents[1]


def test_pins_hold_in_the_environment_that_runs_the_tests() -> None:
    """What is installed is what constraints.txt names."""
    found = machine.pins(ROOT / "constraints.txt")

    assert found.state == "ok", found.found


def test_a_package_off_its_pin_is_named(tmp_path: Path) -> None:
    """Numpy pinned to another version is a failure that names both versions and the remedy."""
    (tmp_path / "constraints.txt").write_text("numpy==0.0.1\n# a comment\nno_such_package==1\n")

    found = machine.pins(tmp_path / "constraints.txt")

    assert found.state == "fail"
    assert f"numpy {metadata.version('numpy')} (pinned 0.0.1)" in found.found
    assert found.remedy == "make clean run"


def test_one_version_a_python_is_allowed(tmp_path: Path) -> None:
    """A name pinned twice under different markers holds if either version is installed."""
    here = metadata.version("numpy")
    (tmp_path / "c.txt").write_text(f"numpy=={here} ; python_full_version < '3.12'\nnumpy==9.9 ; python_full_version >= '3.12'\n")

    assert machine.pins(tmp_path / "c.txt").state == "ok"


def test_every_absent_counter_says_what_follows() -> None:
    """A check that is not ok carries its remedy or consequence."""
    found = machine.checks(ROOT)

    assert {c.name for c in found} >= {"python", "pins", "git", "disk", "load", "energy: RAPL", "energy: NVML", "instructions"}
    assert all(c.remedy for c in found if c.state != "ok")


def test_only_fail_fails() -> None:
    """An absent counter is no failure; a wrong pin is."""
    assert not machine.failed([machine.Check("a", "absent", "none", "does without")])
    assert machine.failed([machine.Check("a", "ok", ""), machine.Check("b", "fail", "x", "y")])
