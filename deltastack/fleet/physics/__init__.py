"""The physics behind the layers: pure functions of numbers, no deployment, no workload, no files."""
