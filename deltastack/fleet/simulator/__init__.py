"""The serving simulator: requests in, time by component out."""

from deltastack.fleet.simulator.check import misfits
from deltastack.fleet.simulator.interface import Config, Requests, Result
from deltastack.fleet.simulator.latency import e2e_s, percentiles, tpot_s, ttft_s
from deltastack.fleet.simulator.serving import simulate, simulate_each, simulate_many

__all__ = [
    "Config",
    "Requests",
    "Result",
    "e2e_s",
    "misfits",
    "percentiles",
    "simulate",
    "simulate_each",
    "simulate_many",
    "tpot_s",
    "ttft_s",
]
