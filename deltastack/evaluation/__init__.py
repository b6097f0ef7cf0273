"""Run cells on a bench: the fleet's runner, its estimates, the testbed's cells."""
