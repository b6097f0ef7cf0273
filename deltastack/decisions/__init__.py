"""Decisions on an analysis: the best set of layers, the change between two results, the next plan."""
