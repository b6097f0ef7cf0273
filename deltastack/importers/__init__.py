"""Measurements made elsewhere, by other people's load generators, read as a layer of this report."""

from deltastack.importers.layer import Saved, row_words, savings, table
from deltastack.importers.run import QUANTITIES, Run, read

__all__ = ["QUANTITIES", "Run", "Saved", "read", "row_words", "savings", "table"]
