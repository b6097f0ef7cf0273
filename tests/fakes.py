"""Fakes of clocks, meters, servers and engines; nothing in the domain is ever patched."""
