"""Other ways to load the same file, which storage techniques are measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.testbed.vlm.engine import Engine


def buffered(engine: Engine) -> AbstractContextManager[None]:
    """Read through the page cache into private memory."""
    from deltastack.testbed.switches import storage

    return storage.buffered(engine)


def plain_mapping(engine: Engine) -> AbstractContextManager[None]:
    """Mapped without the library."""
    from deltastack.testbed.switches import storage

    return storage.plain_mapping(engine)
