"""Everything that data or parameters can mend; bugs stay AssertionError or TypeError.

* DeltastackError
  x InputError                what a person handed in is wrong (exit 2)
    - WorkloadError           a trace with bad rows, a wrong header, no rows
    - ParamsError             a parameter file or flag that does not hold
    - MeasurementError        a file of measured rows with bad rows, a wrong header, no rows
    - FormulaError            weights, savings or ratios outside their domain
    - FactorialError          runs that form no factorial: a cell, a column or a unit that does not hold
    - LayerError              two layers of one name, or an entry point that is no layer
    - UnknownNameError        a layer, technique, model or platform nobody has
  x ContractError             a table that breaks its contract; names every breach
  x EvidenceError             a reading, an operator time or a result that is not there
  x RefusedError              what was asked does not fit the resources (exit 3)
    - CapacityError           the model, the context or the rate does not fit the deployment
    - OutOfValidityError      a technique outside the domain in which its physics holds
    - PreflightError          this machine lacks something (disk, git, a server)
    - ClusterError            a Dask cluster that is not there, runs other code, or lost its workers
  x StageError                a stage of the graph failed
    - BusyError               another run holds the graph: try again
    - CellError               one run of one cell failed; the experiment goes on without it
  x TrackingError             the tracking server did not take the results
"""

from __future__ import annotations

import errno
import re

_NOT_OURS = {errno.EROFS, errno.EACCES, errno.EPERM}
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_TOLD = re.compile(r"\[Errno (\d+)\]")


class DeltastackError(Exception):
    """The root: its message says what was wanted, what was found and how to mend it."""

    exit_code = 1


class InputError(DeltastackError):
    """What a person handed in is wrong."""

    exit_code = 2


class WorkloadError(InputError):
    """A trace that cannot be read as a workload."""


class ParamsError(InputError):
    """A parameter file, key or flag that does not hold."""


class MeasurementError(InputError):
    """A file of measured rows that cannot be used to calibrate."""


class FormulaError(InputError):
    """Weights, savings or ratios outside the domain of a formula."""


class FactorialError(InputError):
    """Runs that form no factorial: a missing cell, mixed units, a misspelt column."""


class LayerError(InputError):
    """Layers that cannot stand beside each other, or an entry point that holds no layer."""


class UnknownNameError(InputError):
    """A layer, technique, model or platform that does not exist here."""


class ContractError(DeltastackError):
    """A table that breaks its contract; the message names every breach."""


class EvidenceError(DeltastackError):
    """A reading, an operator time or a result that is not there."""


class RefusedError(DeltastackError):
    """What was asked does not fit the resources."""

    exit_code = 3


class CapacityError(RefusedError):
    """The model, the context or the rate does not fit the deployment."""


class OutOfValidityError(RefusedError):
    """A technique outside the domain in which its physics holds."""


class PreflightError(RefusedError):
    """This machine lacks something that the work needs."""


class ClusterError(RefusedError):
    """A Dask cluster that is not there, runs other code, or lost its workers."""


class StageError(DeltastackError):
    """A stage of the graph failed."""


class BusyError(StageError):
    """Another run holds the graph."""


class CellError(StageError):
    """One run of one cell failed; the experiment goes on without it."""

    def __init__(self, kind: str, words: str) -> None:
        """Say what was found; ``kind`` is a word of ``engine.faults.FaultKind``."""
        super().__init__(f"{kind}: {words}")
        self.kind = kind


class TrackingError(DeltastackError):
    """The tracking server did not take the results."""


def of_system(error: OSError | MemoryError) -> DeltastackError | None:
    """What the machine refused, as an error of ours that says how to go on; None where it is no such thing.

    >>> str(of_system(OSError(28, "No space left on device", "data/a.parquet")))
    'data/a.parquet: No space left on device; free some and run again: what is there is whole, and the run goes on from it'
    """
    if isinstance(error, MemoryError):
        return PreflightError("not enough memory for this; end other work, or ask for less (fewer requests, draws or cells)")
    told = _TOLD.search(str(error))  # pyarrow keeps the number in its message
    number = error.errno or (int(told[1]) if told else 0)
    place = error.filename or "this folder"
    if number in _NOT_OURS:
        return InputError(f"{place}: cannot be written ({_words(error)}); work in a copy of the checkout that is yours to write")
    if number in _FULL:
        return PreflightError(
            f"{place}: {_words(error)}; free some and run again: what is there is whole, and the run goes on from it"
        )
    return None


def _words(error: OSError) -> str:
    return error.strerror or " ".join(str(error).split())
