"""Work that several ask for is done once: results by key, of which the latest are kept."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable


class Once:
    """Results by key; of several threads that ask for one at once, one works and the others wait."""

    def __init__(self, most: int) -> None:
        """Start with none.

        Args:
            most: How many are kept: those that were asked for last.
        """
        self._most, self._lock = most, threading.Lock()
        self._found: dict[Hashable, Future[Any]] = {}

    def of(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` gave or raised for ``key``; it is called where nothing is kept.

        Raises:
            Exception: Whatever ``make`` raised.
        """
        with self._lock:
            mine = key not in self._found
            found: Future[Any] = Future() if mine else self._found.pop(key)
            self._found[key] = found
            if len(self._found) > self._most:
                self._found.pop(next(iter(self._found)))
        if mine:
            try:
                found.set_result(make())
            except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it, whatever it is
                found.set_exception(error)
        return found.result()
