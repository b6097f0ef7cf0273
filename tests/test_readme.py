"""The README and the tree of the house name what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
HOUSE = (ROOT / "docs/architecture.md").read_text()


def test_the_tree_is_the_house() -> None:
    """Every folder and file that the annotated tree names exists, in at most twenty lines."""
    tree = HOUSE.split("## Rooms")[1].split("```")[1].strip().splitlines()
    room = ""
    for line in tree:
        name = line.split()[0]
        room = "" if not line.startswith(" ") else room
        assert (ROOT / room / name).exists(), name
        room = room or (name if name == "deltastack/" else "")

    assert len(tree) <= 20


PATHS = sorted(set(re.findall(r"`((?:docs|params|tests|deltastack|tasks|scripts)/[\w/.-]*)`", README)))


TO_BE_WRITTEN = set(re.findall(r'^```\w+ title="(.*?)"', README, re.MULTILINE))
"""Files that a reader makes of a block; tests/layers/test_add_a_layer.py makes them."""


@pytest.mark.parametrize("name", [p for p in PATHS if "NAME" not in p and p not in TO_BE_WRITTEN])
def test_a_named_path_exists(name: str) -> None:
    """A path in backquotes is there (a decision record may be named by its number)."""
    assert (ROOT / name).exists() or list((ROOT / name).parent.glob(f"{(ROOT / name).name}*"))
