"""The Parquet contracts: the only reader and writer of tables that cross a stage.

A contract names every column with its dtype, unit, bounds and whether a null may stand in
it, the key that must be unique, and what holds between columns (a missing amount has its
reason; samples of different hosts are never pooled). Writing is atomic and gives the same
bytes for the same rows. Reading refuses a broken table and names *all* its breaches and
the remedy.

The mechanism is in ``column``, ``relation``, ``contract`` and ``files``; the tables are in ``tables``.
"""

from deltastack.contracts.column import Column
from deltastack.contracts.contract import Contract
from deltastack.contracts.files import atomic
from deltastack.contracts.relation import Absence, Single
from deltastack.contracts.tables import COUNTER, DELTA, IMPORTED, JOINT, QUALITY, SCENES, SWEEP, TOTAL, USAGE, WORKLOAD

__all__ = [
    "COUNTER",
    "DELTA",
    "IMPORTED",
    "JOINT",
    "QUALITY",
    "SCENES",
    "SWEEP",
    "TOTAL",
    "USAGE",
    "WORKLOAD",
    "Absence",
    "Column",
    "Contract",
    "Single",
    "atomic",
]
