"""``python scripts/audit.py [--offline]``: are there published holes in what constraints.txt pins?

pip-audit asks its index. Where none answers, or with ``--offline``, the age of the pins and the releases that
requirements/audit.yaml knows to be the first without a hole speak, and the last line says so. Exit 1 on a finding.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import yaml
from packaging.markers import Marker
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOME = Path(__file__).parents[1]
PATIENCE_S = 300
AWAY = ("ConnectionError", "Max retries", "Failed to establish", "timed out", "Timeout", "ServiceError", "resolve", "404", "403")
"""Words of pip-audit that mean that nobody answered it."""

Ask: TypeAlias = "Callable[[list[str]], tuple[int, str]]"


def main(words: list[str]) -> int:
    """Print what was found; 1 if anything was."""
    known, pins = yaml.safe_load((HOME / "requirements/audit.yaml").read_text()), read(HOME / "constraints.txt")
    holes = below(pins, known["least"])
    age = aged(known, datetime.now(UTC).date())
    answer = None if "--offline" in words else advisories(_run)
    for line in [*holes, *(answer or [])]:
        sys.stdout.write(f"{line}\n")
    if answer is None:
        old = age > known["most_days"]
        asked = "not asked" if "--offline" in words else "no index of advisories answers"
        sys.stdout.write(
            f"pip-audit: {asked}; {len(pins)} pins of {known['pinned']}, {age} days old (at most {known['most_days']}"
            f"{': choose them again' if old else ''}), {len(known['least'])} known bounds, {len(holes)} broken\n"
        )
        return int(bool(holes) or (old and "--offline" not in words))
    sys.stdout.write(f"pip-audit: {len(pins)} pins, {len(answer)} with a published hole or not audited\n")
    return int(bool(holes or answer))


def read(path: Path) -> dict[str, set[str]]:
    """Releases by name; a name has several where Python versions differ."""
    found: dict[str, set[str]] = {}
    for line in path.read_text().splitlines():
        pin, _, marker = line.partition(";")
        if marker.strip():
            Marker(marker.strip())  # a marker that is none is an error here, not later
        name, _, release = pin.strip().partition("==")
        if release:
            found.setdefault(name.lower().replace("_", "-"), set()).add(release)
    return found


def below(pins: Mapping[str, set[str]], least: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Pins older than the first release without a hole; a name that is not pinned has none."""
    return [
        f"{name} {release}: {known['because']} is mended in {known['release']}"
        for name, known in least.items()
        for release in sorted(pins.get(name, ()))
        if Version(release) < Version(str(known["release"]))
    ]


def aged(known: Mapping[str, Any], today: date) -> int:
    """Days since the pins were chosen; never below 0, whatever the clock says."""
    return max((today - known["pinned"]).days, 0)


def advisories(ask: Ask) -> list[str] | None:
    """What pip-audit finds, one line a pin; None if it is not installed or nobody answers it.

    Raises:
        SystemExit: It failed for another reason, which it says.
    """
    code, said = ask(
        ["-r", str(HOME / "constraints.txt"), "--no-deps", "--disable-pip", "--progress-spinner", "off", "-f", "json"]
    )
    at = said.find("{")
    try:
        found = json.loads(said[at : said.rfind("}") + 1])["dependencies"]
    except (ValueError, KeyError, TypeError):
        if "No module named" in said or any(word in said for word in AWAY):
            return None
        raise SystemExit(f"pip-audit failed ({code}): {said.strip()[-300:]}") from None
    asked = [d for d in found if "skip_reason" not in d]
    if not asked:  # it finds no hole in what it could not look up
        return None
    skipped = [f"{d['name']}: not audited, {d['skip_reason']}" for d in found if "skip_reason" in d]
    return [f"{d['name']} {d['version']}: {', '.join(v['id'] for v in d['vulns'])}" for d in asked if d["vulns"]] + skipped


def _run(words: list[str]) -> tuple[int, str]:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip_audit", *words], capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired:
        return 1, "timed out"
    return done.returncode, done.stdout or done.stderr


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
