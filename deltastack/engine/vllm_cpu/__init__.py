"""Real vLLM on a processor, in an environment of its own: the model folders it serves, and what it lacks beside a CPU torch."""
