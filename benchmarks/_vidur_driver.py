"""Runs inside Vidur's own environment: ``python _vidur_driver.py TRACE.csv FOLDER`` prints one JSON line.

Vidur's profiles live on a hub and are fetched at run time, so its own predictors cannot be used offline. Its event loop,
its Sarathi scheduler (chunked prefill beside decoding) and its request objects run unchanged; step times come from the
two-term predictor below, which costs next to nothing: what is timed is Vidur at its fastest.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from typing import Any

from vidur import config as vidur_config
from vidur._native.entities import ExecutionTime
from vidur.execution_time_predictor import BaseExecutionTimePredictor, ExecutionTimePredictorRegistry
from vidur.simulator import Simulator
from vidur.types import ExecutionTimePredictorType

STEP_MS, TOKEN_MS, LAYERS = 5.0, 0.02, 32
DUMMY = ExecutionTimePredictorType.DUMMY


@dataclass
class Config(vidur_config.BaseExecutionTimePredictorConfig):
    """The predictor's configuration, under the type that Vidur leaves free."""

    @staticmethod
    def get_type() -> Any:
        """The key under which the registry finds the predictor."""
        return DUMMY


class Predictor(BaseExecutionTimePredictor):  # type: ignore[misc]
    """5 ms a step and 0.02 ms a token, spread over the layers."""

    def get_execution_time(self, batch: Any, pipeline_stage: int) -> Any:  # noqa: ARG002 - Vidur's signature
        """One step of ``batch``."""
        layer_ms = (STEP_MS + TOKEN_MS * sum(batch.num_q_tokens)) / LAYERS
        return ExecutionTime(LAYERS, 0.0, 0.0, 0.0, 0.0, layer_ms, *[0.0] * 9)


Predictor.__abstractmethods__ = frozenset()
ExecutionTimePredictorRegistry.register(DUMMY, Predictor)


def main(trace: str, folder: str) -> None:
    """Simulate the trace; print the processor seconds of ``Simulator.run`` and the number of requests."""
    os.chdir(folder)
    config = vidur_config.SimulationConfig(
        cluster_config=vidur_config.ClusterConfig(
            replica_config=vidur_config.ReplicaConfig(num_pipeline_stages=1, tensor_parallel_size=1),
            cache_config=vidur_config.CacheConfig(num_blocks=394_811 // 16),
            replica_scheduler_config=vidur_config.SarathiSchedulerConfig(batch_size_cap=256, chunk_size=8192),
        ),
        request_generator_config=vidur_config.TraceRequestGeneratorConfig(
            trace_file=trace, prefill_scale_factor=1.0, time_scale_factor=1.0, max_tokens=10**6
        ),
        execution_time_predictor_config=Config(),
        metrics_config=vidur_config.MetricsConfig(
            write_metrics=False,
            enable_chrome_trace=False,
            store_plots=False,
            store_request_metrics=False,
            store_batch_metrics=False,
            store_utilization_metrics=False,
            output_dir=folder,
        ),
    )
    simulator = Simulator(config)
    count = len(simulator._event_queue)  # noqa: SLF001 - Vidur tells it nowhere else
    start = time.process_time()
    simulator.run()
    print(json.dumps({"seconds": time.process_time() - start, "requests": count}))


if __name__ == "__main__":
    main(*sys.argv[1:])
