"""Operator times of a model on a platform, with a source tag for every value."""
