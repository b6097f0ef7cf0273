"""Benchmarks: each prints ratios against a named peer or bound and writes its raw samples to benchmarks/results."""
