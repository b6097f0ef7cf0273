"""The techniques as reversible switches on a running engine, and the other baselines they are held against.

A switch is a function of an engine and its values that gives a context manager: entering changes what the next sessions are
served with, leaving takes it back, and any set can be on at once. ``deltastack.layers`` says which technique throws which, and
imports it only then, because most of these modules import torch.
"""
