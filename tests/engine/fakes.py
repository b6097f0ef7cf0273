"""Declarations of the fake engine, and small loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deltastack import params
from deltastack.engine.declaration import Engine

SERVER = Path(__file__).with_name("fake_engine.py")
LAYER = {"cache": "storage", "quant": "instruction_set", "batch": "batching"}


def technique(name: str) -> dict[str, Any]:
    """One switch of the fake engine, read back in both states."""
    states = {}
    for state, value in (("on_settings", "1"), ("off_settings", "0")):
        expect = {"source": "props", "key": f"settings.{name}", "equals": "true" if value == "1" else "false"}
        states[state] = {"flags": [f"{name}={value}"], "expect": [expect]}
    evidence = [{"name": "cached", "source": "metrics", "key": "fake_cached_total", "at_least": 1}] if name == "cache" else []
    return {"layer": LAYER[name], "mechanism": f"a switch called {name}", "evidence": evidence} | states


def declared(*names: str, **changed: Any) -> dict[str, Any]:
    """The fake engine with switches ``names``; ``changed`` replaces top-level parts."""
    return {
        "name": "fake",
        "title": "a fake engine",
        "version": "1.0",
        "start": {"command": ["{python}", "{server}", "--port", "{port}", "{flags}"]},
        "files": {"server": str(SERVER)},
        "health": {"path": "/health", "within_s": 30, "period_s": 0.02},
        "stop": {"within_s": 0.5},
        "clear": [{"path": "/reset"}],
        "sources": {
            "props": {"style": "json", "path": "/props"},
            "metrics": {"style": "prometheus", "path": "/metrics"},
            "log": {"style": "log"},
        },
        "counters": {"prompt_tokens": {"source": "metrics", "key": "fake_prompt_total"}},
        "load": {"requests": 3, "warm": 1, "shared_words": 4, "own_words": 3, "output_tokens": 2, "timeout_s": 30},
        "experiment": {"block_pairs": 1, "budget_s": 0.001, "twins": 1},
        "techniques": {n: technique(n) for n in names},
    } | changed


def engine(*names: str, **changed: Any) -> Engine:
    """The declaration as the bench reads it."""
    return params.parse(declared(*names, **changed), Engine, "fake.yaml")


def with_fault(fault: str, *, on: str = "quant", names: tuple[str, ...] = ("cache", "quant"), **changed: Any) -> Engine:
    """The engine whose switch ``on`` brings a fault with it."""
    whole = declared(*names, **changed)
    whole["techniques"][on]["on_settings"]["flags"] = [*whole["techniques"][on]["on_settings"]["flags"], f"fault={fault}"]
    return params.parse(whole, Engine, "fake.yaml")


def silent(_: str) -> None:
    """Say nothing."""
