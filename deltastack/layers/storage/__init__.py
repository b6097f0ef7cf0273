"""Layer ``storage``: zoned drives, aligned weights, pooled host memory, a tier for keys, values and embeddings.

Each is a rewrite of what a replica stores where; ``fleet.effects`` (flash, kv_tier, memory_pool, stores) says what it takes.
Weights are read only, so a zoned drive alone changes no request: it pays where something is written beside the reads.
"""

from __future__ import annotations

from deltastack.layers.storage.block_alignment import BlockAlignment
from deltastack.layers.storage.kv_tier import KeyValueTier
from deltastack.layers.storage.memory_pool import MemoryPool
from deltastack.layers.storage.shared_weights import SharedWeights
from deltastack.layers.storage.zns import Zns
from deltastack.layers.technique import Layer

STORAGE = Layer(name="storage", techniques=(Zns(), BlockAlignment(), MemoryPool(), KeyValueTier(), SharedWeights()))
