"""A PostgreSQL server for tests, of the one that is installed: on a socket in a folder of its own, gone with its test.

Prefect needs the extension pg_trgm, which Debian's package brings and the servers that pip installs do not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "postgres"
"""The server refuses to run as root."""


class Postgres(NamedTuple):
    """A server that runs."""

    folder: Path

    def address(self, driver: str, name: str) -> str:
        """How that driver reaches that database."""
        return f"postgresql+{driver}://{USER}@/{name}?host={self.folder}"

    def rows(self, name: str, query: str) -> list[tuple[object, ...]]:
        """What a query finds."""
        import psycopg2

        with psycopg2.connect(dbname=name, user=USER, host=str(self.folder)) as connection:
            cursor = connection.cursor()
            cursor.execute(query)
            found: list[tuple[object, ...]] = cursor.fetchall()
        connection.close()
        return found


@contextmanager
def running(*names: str) -> Iterator[Postgres]:
    """A server with databases of these names; the test is skipped where no PostgreSQL is installed."""
    initdb = _program("initdb")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a short path, which a socket needs, and one that USER may enter
    user = USER if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    try:
        _do(initdb, "-D", str(data), "-U", USER, "-A", "trust", "--no-sync", user=user)
        control = [str(initdb.with_name("pg_ctl")), "-D", str(data), "-w", "-l", str(folder / "log")]
        _do(*control, "-o", f"-k {folder} -c listen_addresses='' -c fsync=off", "start", user=user)
        try:
            for name in names:
                _do(initdb.with_name("createdb"), "-h", str(folder), "-U", USER, name, user=user)
            yield Postgres(folder)
        finally:
            _do(*control, "-m", "immediate", "stop", user=user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> Path:
    """The newest of Debian's, or the one on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[-3]))
    there = str(found[-1]) if found else shutil.which(name)
    if there is None:
        pytest.skip("no PostgreSQL here (Debian: apt-get install postgresql)")
    return Path(there)


def _do(*words: str | Path, user: str | None) -> None:
    done = subprocess.run(
        list(map(str, words)), user=user, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
