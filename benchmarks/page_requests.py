"""What the report asks of the network: the requests that a browser makes for reports/report.html, from its own network log.

Bound: none. The log also has what the browser asks for itself (its updates); those name no page as their initiator. A control
page that asks for a picture, a style sheet and a frame shows that the log would tell. The browser is given a proxy where nothing
listens, so that nothing leaves this machine either way.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "reports" / "report.html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-gpu",
    "--disable-sync",
    "--headless=new",
    "--no-first-run",
    "--proxy-server=127.0.0.1:9",
    "--virtual-time-budget=3000",
)
OWN = "not an origin"
"""The initiator of what the browser asks for itself."""
CONTROL = (
    '<style>@import url("http://a.invalid/style.css");</style><img src="http://a.invalid/picture.png">'
    '<iframe src="http://a.invalid/frame"></iframe>'
)
PATIENCE_S = 120


def browser() -> str | None:
    """The browser that is there, or None."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def asked(page: Path, program: str) -> list[str]:
    """The addresses that ``page`` asks for beside itself, in order.

    Raises:
        subprocess.CalledProcessError: The browser failed.
        subprocess.TimeoutExpired: It did not end.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "net.json"
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        own = [f"--user-data-dir={folder}/profile", f"--log-net-log={log}", "--dump-dom", page.resolve().as_uri()]
        subprocess.run([program, *QUIET, *root, *own], check=True, capture_output=True, timeout=PATIENCE_S)
        return _of_pages(json.loads(log.read_text()))


def _of_pages(log: dict[str, Any]) -> list[str]:
    """The addresses of requests that a page began."""
    begun = [e["params"] for e in log["events"] if isinstance(e.get("params"), dict) and "initiator" in e["params"]]
    return [p["url"] for p in begun if p["initiator"] != OWN and not p["url"].startswith("file:")]


def main() -> None:
    """Open the page and the control page; print what they ask for."""
    program = browser()
    if program is None or not PAGE.is_file():
        why = "no report: make run" if program else f"none of {', '.join(BROWSERS)} is there"
        print(f"page requests: not looked at, {why}")
        return
    with tempfile.TemporaryDirectory() as folder:
        control = Path(folder) / "control.html"
        control.write_text(CONTROL)
        told, found = asked(control, program), asked(PAGE, program)
    print(f"page requests: {len(found)} beside the file itself (bound 0); the control page makes {len(told)}")
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "page_requests.json").write_text(json.dumps({"page": found, "control": told}, indent=2) + "\n")


if __name__ == "__main__":
    main()
