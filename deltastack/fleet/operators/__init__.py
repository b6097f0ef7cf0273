"""Operator times of a model on a platform, with a source tag for every value."""

from deltastack.fleet.operators.catalogue import SCHEMES, Known, known, load_tables, tables_for
from deltastack.fleet.operators.tables import LINEAR_COMPONENTS, OperatorTables, Source

__all__ = ["LINEAR_COMPONENTS", "SCHEMES", "Known", "OperatorTables", "Source", "known", "load_tables", "tables_for"]
