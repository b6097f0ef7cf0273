"""Measurements made elsewhere, by other people's load generators, read as a layer of this report."""

from deltastack.importers.conditions import refuse_unlike
from deltastack.importers.layer import Saved, refuse_twice, row_words, savings, table
from deltastack.importers.run import QUANTITIES, Run, read

__all__ = ["QUANTITIES", "Run", "Saved", "read", "refuse_twice", "refuse_unlike", "row_words", "savings", "table"]
