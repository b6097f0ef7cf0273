"""What each group of a deployment's fields does: changed inputs of the simulator, or changed accounts. Pure functions.

A field at its default is the identity. A field that is set and that no function here understands is refused, never ignored.
"""
