"""The meter: what a window of work spent, read from counters that this machine has.

A counter that is missing gives no reading but a reason; a window whose work failed gives nothing at all.
"""

from deltastack.experiment.meter.counters import Counter, Quantity
from deltastack.experiment.meter.machine_counters import default_counters
from deltastack.experiment.meter.meter import Meter, Reading, Window
from deltastack.experiment.meter.replay import ReplayMeter

__all__ = ["Counter", "Meter", "Quantity", "Reading", "ReplayMeter", "Window", "default_counters"]
