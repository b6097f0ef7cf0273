"""Compiled code on disk: a broken file is compiled again, and code of another text or signature is never used."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deltastack.fleet.simulator.numba_support import CodeFiles

KEY = ("int64 (int64,)", ("x86", "a machine", "+avx"), ("a", "b"))
MODULE = """
from deltastack.fleet.simulator.numba_support import entry

@entry
def twice(x: int) -> int:
    return 2 * x
"""


def files(folder: Path, stamp: str = "one") -> CodeFiles:
    """The code of a function in ``folder``."""
    return CodeFiles(folder, "twice-1.py311", stamp)


@pytest.mark.parametrize("kept_bytes", [0, 1, 31, 32, 33, -1])
def test_a_file_that_was_cut_off_is_not_there(tmp_path: Path, kept_bytes: int) -> None:
    """Cut to nothing, inside the checksum, at its end, inside the content: no code, no error; written again it is there."""
    files(tmp_path).save(KEY, ["code"])
    (path,) = tmp_path.glob("*.nbc")
    path.write_bytes(path.read_bytes()[:kept_bytes])

    assert files(tmp_path).load(KEY) is None
    files(tmp_path).save(KEY, ["code"])
    assert files(tmp_path).load(KEY) == ["code"]


def test_one_bit_that_changed_is_seen(tmp_path: Path) -> None:
    """The last byte, flipped."""
    files(tmp_path).save(KEY, ["code"])
    (path,) = tmp_path.glob("*.nbc")
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)

    assert files(tmp_path).load(KEY) is None


def test_signatures_and_texts_are_told_apart(tmp_path: Path) -> None:
    """Two signatures that two processes write at once are two files; a file under another's name is refused."""
    other = ("float64 (float64,)", *KEY[1:])
    one, two = files(tmp_path), files(tmp_path)
    one.save(KEY, "integers")
    two.save(other, "numbers")

    assert (one.load(KEY), one.load(other)) == ("integers", "numbers")
    assert files(tmp_path, "another text").load(KEY) is None
    shutil.copyfile(one.file(other), one.file(KEY))
    assert one.load(KEY) is None


def test_a_broken_cache_is_compiled_again(tmp_path: Path) -> None:
    """A process compiles; its file is cut in half; the next one gives the same answer and a whole file."""
    (tmp_path / "twice.py").write_text(MODULE)
    script = "from twice import twice; print(twice(21), sum(twice.stats.cache_hits.values()))"

    def call() -> str:
        return subprocess.run([sys.executable, "-c", script], cwd=tmp_path, text=True, capture_output=True, check=True).stdout

    root = Path(__file__).parents[3]
    script = f"import sys; sys.path.insert(0, {str(root)!r}); {script}"
    assert call() == "42 0\n"
    assert call() == "42 1\n"
    (path,) = (tmp_path / "__pycache__").glob("*.nbc")
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes()[: whole // 2])
    assert call() == "42 0\n"
    assert path.stat().st_size == whole
    assert call() == "42 1\n"
