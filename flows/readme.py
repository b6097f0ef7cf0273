"""Put the end of the last run into README.md, between its two marks: ``python -m flows.readme``.

Only what stands in reports/summary.json is written, with the commit it was made from; a quick run, a trace of one's own or
changed files are refused, so that anyone can get the same lines by ``make run`` on that commit.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

from flows import summary
from tasks import outbox, provenance, stage_runner

BLOCK = re.compile(r"(<!-- results -->\n).*?(<!-- end of results -->)", re.DOTALL)
WIDTH = 128


def main() -> int:
    """Write the block; the exit code."""
    root = stage_runner.root_from(Path.cwd())
    if faults := refusals(root):
        sys.stderr.write("".join(f"readme: {words}\n" for words in faults))
        return 1
    path = root / "README.md"
    text, count = BLOCK.subn(lambda marks: f"{marks[1]}{block(root)}{marks[2]}", path.read_text())
    if count != 1:
        sys.stderr.write(f"readme: wanted one pair of marks in {path.name}, found {count}\n")
        return 1
    stage_runner.write(path, text)
    return 0


def refusals(root: Path) -> list[str]:
    """Why the results that are there are not for the README; empty if they are."""
    said = outbox.read(root / summary.SAID)
    if not said:
        return ["there are no results: make run"]
    faults = {
        "the last run was a quick one: make run": said.get("canonical") is not True,
        "the workload is a trace: make run TRACE=default": provenance.params(root)["workload"].get("trace") is not None,
        "tracked files differ from the commit": provenance.dirty(root) != "false",
    }
    return [words for words, wrong in faults.items() if wrong]


def block(root: Path) -> str:
    """The lines of the run, wrapped, and the commit that they were made from."""
    lines = [part for line in summary.lines(root) for part in textwrap.wrap(line, WIDTH, subsequent_indent="    ") or [line]]
    body = "\n".join(lines)
    return f"```text\n$ make run        # at commit {(provenance.commit(root) or 'unknown')[:12]}\n{body}\n```\n"


if __name__ == "__main__":
    sys.exit(main())
