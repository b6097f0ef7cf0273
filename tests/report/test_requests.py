"""The page in a real browser: its network log has no request beside the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import page_requests
from deltastack.report.html.page import html
from tests.report.test_page import results

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def browser() -> str:
    """A browser; its tests are left out where there is none."""
    found = page_requests.browser()
    if found is None:
        pytest.skip(f"none of {', '.join(page_requests.BROWSERS)} is installed")
    return found


def test_no_request_leaves_the_page(browser: str, tmp_path: Path) -> None:
    """The page asks for nothing; a page with a style sheet, a picture and a frame is seen to ask for all three."""
    page, control = tmp_path / "report.html", tmp_path / "control.html"
    page.write_text(html(results(), {}), encoding="utf-8")
    control.write_text(page_requests.CONTROL)

    assert page_requests.asked(page, browser) == []
    assert sorted(page_requests.asked(control, browser)) == [
        "http://a.invalid/frame",
        "http://a.invalid/picture.png",
        "http://a.invalid/style.css",
    ]
