"""What a reader may do with bad input: take it, or refuse it in one line with exit 2 or 3. Anything else is a fault."""

from __future__ import annotations

import signal
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from deltastack.errors import ContractError, DeltastackError, EvidenceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_S = 20
"""Of one input. It bounds a hang; no answer is judged by its time."""
INNER = (ContractError, EvidenceError)
"""A stage's own: a table that broke (its message names each breach in a line), a reading that an engine did not give."""


class Answered(NamedTuple):
    """How one input ended."""

    taken: bool
    words: str
    """The message, where it was refused."""


class Hang(BaseException):
    """No answer in time; no reader catches it."""


def answer(read: Callable[[], object]) -> Answered:
    """Let ``read`` answer.

    Raises:
        AssertionError: A traceback, a warning, a message of several lines, another exit code, or no answer at all.
    """
    try:
        with _bounded(), warnings.catch_warnings():
            warnings.simplefilter("error")
            read()
    except DeltastackError as error:
        return _refused(error)
    except (Exception, Hang) as error:
        raise AssertionError(f"{type(error).__name__}: {error}"[:400]) from error
    return Answered(taken=True, words="")


def _refused(error: DeltastackError) -> Answered:
    words = str(error)
    faults = {
        f"exit {error.exit_code}": error.exit_code not in {2, 3} and not isinstance(error, INNER),
        "several lines": "\n" in words and not isinstance(error, INNER),
        "no words": not words.strip(),
    }
    if fault := next((name for name, found in faults.items() if found), None):
        raise AssertionError(f"{fault}: {words}")
    return Answered(taken=False, words=words)


@contextmanager
def _bounded() -> Iterator[None]:
    def late(*_: object) -> None:
        raise Hang(f"no answer in {MOST_S} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, MOST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
