"""The Prefect flows over the graph that dvc.yaml declares."""
