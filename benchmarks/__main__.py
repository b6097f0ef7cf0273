"""``python -m benchmarks``: every benchmark of this folder, one after the other."""

from __future__ import annotations

import importlib
import pkgutil

import benchmarks

for module in sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_")):
    print(f"== {module}", flush=True)
    importlib.import_module(f"benchmarks.{module}").main()
