"""The site of the documents builds without a warning, asks nobody for anything when it is read, and its pictures are drawn."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ASKS = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"(https?:[^\"]+)\"|<link\b[^>]*\brel=\"stylesheet\"[^>]*\bhref=\"(https?:[^\"]+)\""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly: a warning ends the build."""
    out = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(out)]
    done = subprocess.run(
        words, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    return out


@pytest.mark.slow
def test_the_site_has_every_command_table_and_decision(site: Path) -> None:
    """Pages that are made from the code are there, and name what the code names."""
    commands = (site / "reference/commands/index.html").read_text()
    assert "deltastack engine check" in commands
    assert "--closed-loop" in commands
    assert "gap_lo" in (site / "reference/tables/index.html").read_text()
    assert "analyse" in (site / "reference/api/index.html").read_text()
    assert len(list((site / "decisions").glob("0*"))) == len(list((ROOT / "docs/decisions").glob("0*.md")))
    assert "<svg" in (site / "architecture/index.html").read_text()


@pytest.mark.slow
def test_the_site_asks_nobody_for_anything(site: Path) -> None:
    """No script, style or picture comes from elsewhere."""
    asked = {m for page in site.rglob("*.html") for m in ASKS.findall(page.read_text())}
    styles = {m for page in site.rglob("*.css") for m in re.findall(r"url\((https?:[^)]+)\)", page.read_text())}
    assert (asked, styles) == (set(), set())


def test_a_flowchart_is_drawn_in_layers() -> None:
    """By hand: a over b and c, both over d; a circle and a strange line are refused."""
    svg = runpy.run_path(str(ROOT / "scripts/flowchart_svg.py"))["svg"]
    found = svg('flowchart TD\n  a["A"]\n  b["B<br/>two"]\n  c["<i>"]\n  d["D"]\n  a --> b\n  a --> c\n  b --> d\n  c --> d\n')
    tops = [float(y) for y in re.findall(r'<rect x="[\d.]+" y="([\d.]+)"', found)]
    assert tops[0] < tops[1] == tops[2] < tops[3]
    assert "&lt;i&gt;" in found
    with pytest.raises(ValueError, match="circle"):
        svg('flowchart TD\n  a["A"]\n  b["B"]\n  a --> b\n  b --> a\n')
    with pytest.raises(ValueError, match="cannot read"):
        svg("flowchart TD\n  a ==> b\n")
