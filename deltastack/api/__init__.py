"""The Python API: ``import deltastack as ds``, then ``ds.compose``, ``factorial``, ``simulate``, ``capacity`` and ``read``.

Every function returns an object that prints as text, shows as a table in a notebook, and has ``to_frame()``, ``plot()`` and
``to_dict()``. Nothing needs a checkout: the params that came with the package are the defaults. The command line uses the same.
"""

from deltastack.api.composed import Composed, compose
from deltastack.api.fleet import FleetAnswer, capacity, simulate
from deltastack.api.results import Results, read
from deltastack.own_runs import analyse as factorial

__all__ = ["Composed", "FleetAnswer", "Results", "capacity", "compose", "factorial", "read", "simulate"]
