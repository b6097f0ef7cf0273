"""Every help page ends with an example, and every example is a command line that the command takes."""

from __future__ import annotations

import re
import shlex

import pytest
import typer

from deltastack.cli.main import app


def commands() -> list[tuple[str, object]]:
    """Every command with its path."""
    found = []
    todo = [("", typer.main.get_command(app))]
    while todo:
        path, command = todo.pop()
        inner = getattr(command, "commands", None)
        todo += [(f"{path} {name}".strip(), c) for name, c in (inner or {}).items()]
        if inner is None:
            found.append((path, command))
    return sorted(found)


@pytest.mark.parametrize(("path", "command"), commands())
def test_a_help_page_has_an_example_that_parses(path: str, command: object) -> None:
    """The words after the command's own name are parsed as it would parse them."""
    epilog = str(getattr(command, "epilog", ""))
    example = re.fullmatch(r"Example: deltastack (.+)", epilog)
    assert example, f"{path}: no example"
    words = shlex.split(example[1])
    own = path.split()
    assert words[: len(own)] == own
    command.make_context(path, words[len(own) :], resilient_parsing=False)  # type: ignore[attr-defined]
