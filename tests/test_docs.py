"""The documents say what is true: pictures, links, paths and the glossary."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
FILE = re.compile(r"`((?:deltastack|tasks|flows|docs|params|scripts|tests)/[\w/.-]+\.(?:py|md|yaml|sh|csv))`")


def test_the_pictures_are_those_of_the_contract_and_the_graph() -> None:
    """If you are here because this failed: run ``python scripts/architecture.py``."""
    written = runpy.run_path(str(ROOT / "scripts" / "architecture.py"))
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

    assert written["page"](text) == text
    assert "workload --> joint" in text
    assert text.count(" --> ") >= 20


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_and_files_exist(page: Path) -> None:
    """Every relative link leads somewhere, and every file in backticks; a block with a title is a file that the reader writes."""
    text = page.read_text(encoding="utf-8")
    links = [m for m in LINK.findall(text) if not (page.parent / m).exists()]
    written = set(re.findall(r'^```\w+ title="(.*?)"', text, re.MULTILINE))
    named = [m for m in FILE.findall(text) if "NAME" not in m and "LAYER" not in m and m not in written]
    files = [m for m in named if not (ROOT / m).exists()]

    assert (links, files) == ([], [])


def test_the_glossary_has_at_most_twelve_words() -> None:
    """A word of its own for each thing, and few of them."""
    rows = re.findall(r"(?m)^\| ([^|]+) \| [^|]+ \|$", (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))
    words = [w.strip() for w in rows if w.strip() not in {"word", "---"}]

    assert 8 <= len(words) <= 12
    assert len(set(words)) == len(words)
