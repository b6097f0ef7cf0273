"""What is no file: a folder, a pipe without a writer, links to nothing and to themselves, a device without an end, nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from deltastack.contracts.files import ordinary
from deltastack.engine.llamacpp import weights
from deltastack.errors import InputError
from tests.corpus.answers import answer
from tests.corpus.files import KINDS, Kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BY_PATH = [k for k in KINDS if k.name not in {"model.safetensors", "events.txt", "counts.json"}]
"""Readers that open the path themselves; engine answers come over a socket."""
BY_PATH.append(Kind("model.safetensors", KINDS[0].made, weights.safetensors))
MADE: dict[str, Callable[[Path], object]] = {
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "link to itself": lambda path: path.symlink_to(path),
    "link to nothing": lambda path: path.symlink_to(path.with_name("nothing")),
    "device that never ends": lambda path: path.symlink_to("/dev/zero"),
    "nothing in it": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("made", MADE)
@pytest.mark.parametrize("kind", BY_PATH, ids=lambda k: k.name)
def test_it_is_refused_and_never_awaited(kind: Kind, made: str, tmp_path: Path) -> None:
    """One line, at once, whatever reader meets it."""
    MADE[made](tmp_path / kind.name)

    found = answer(lambda: kind.read(tmp_path / kind.name))
    assert not found.taken


@pytest.mark.parametrize("made", ["pipe", "device that never ends"])
def test_the_remedy_is_named(made: str, tmp_path: Path) -> None:
    """Save it as a file."""
    MADE[made](tmp_path / "runs.csv")
    with pytest.raises(InputError, match=r"runs\.csv: a pipe or a device, no file; save what it holds in a file, and give that"):
        ordinary(tmp_path / "runs.csv")
