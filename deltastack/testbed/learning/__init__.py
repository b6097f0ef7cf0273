"""How the testbed's models are trained, written and shipped."""
