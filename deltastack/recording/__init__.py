"""Measurements that travel: a bundle of raw runs with host, date, params, versions and hashes; and what it says.

A bundle is a zip of Parquet and JSON. It holds no code and no pickle. ``bundle`` writes and checks it, ``results`` computes from
its runs what each formula predicts and what was measured together.
"""

from deltastack.recording.bundle import Manifest, Recording, read, write
from deltastack.recording.results import Outcome, outcomes

__all__ = ["Manifest", "Outcome", "Recording", "outcomes", "read", "write"]
