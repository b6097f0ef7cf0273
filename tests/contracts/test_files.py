"""Atomic files: whole or absent, the old one untouched by any failure."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deltastack.contracts import atomic

ROOT = Path(__file__).parents[2]


def test_new_file_is_readable_by_all_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """The folder is made, the bytes are there, no temporary file stays."""
    path = tmp_path / "deep" / "a.txt"
    with atomic(path) as part:
        part.write_text("new")

        assert not path.exists()

    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_keeps_the_old_file(error: type[BaseException], tmp_path: Path) -> None:
    """An exception in the middle of writing leaves the old bytes and no temporary file."""
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write() -> None:
        with atomic(path) as part:
            part.write_text("ne")
            raise error

    with pytest.raises(error):
        write()

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_kill_keeps_the_old_file(tmp_path: Path) -> None:
    """A writer killed in the middle leaves the old file whole."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    code = (
        "import os, signal, sys; from pathlib import Path; from deltastack.contracts.files import atomic\n"
        "with atomic(Path(sys.argv[1])) as part:\n"
        "    part.write_text('ne'); os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    ended = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=False)

    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "old"


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    """A link into a cache is replaced by the new file; the cached bytes stay."""
    cached, path = tmp_path / "cached", tmp_path / "a.txt"
    cached.write_text("old")
    path.symlink_to(cached)

    with atomic(path) as part:
        part.write_text("new")

    assert cached.read_text() == "old"
    assert not path.is_symlink()
    assert path.read_text() == "new"


def test_data_reach_the_disk_before_the_name_and_the_name_before_return(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of system calls is: fsync of the file, rename, fsync of the directory."""
    seen: list[str] = []
    sync, rename = os.fsync, Path.replace

    def fsync(handle: int) -> None:
        seen.append("fsync directory" if Path(f"/proc/self/fd/{handle}").is_dir() else "fsync file")
        sync(handle)

    def replace(self: Path, target: Path) -> Path:
        seen.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)

    with atomic(tmp_path / "a.txt") as part:
        part.write_text("new")

    assert seen == ["fsync file", "rename", "fsync directory"]


def test_what_the_system_said_through_another_library_is_a_system_error(tmp_path: Path) -> None:
    """Tensors that may not grow past a limit: the number of the error is found, the old file stays, no part is left."""
    code = """
import resource, sys
from pathlib import Path
import numpy as np
from safetensors.numpy import save_file
from deltastack.contracts import atomic
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    with atomic(Path(sys.argv[1])) as part:
        save_file({"w": np.zeros(10_000)}, part)
except OSError as error:
    print(error.errno, error.filename)
"""
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"old")

    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)

    assert done.stdout.split() == [str(errno.EFBIG), str(path)]
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("w.safetensors", b"old")]
