"""Workloads: tables of requests, read from traces or generated from a production mix."""
