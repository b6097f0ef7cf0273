"""The fleet bench: trace-driven simulation of a datacentre deployment over silicon-measured operator times."""
