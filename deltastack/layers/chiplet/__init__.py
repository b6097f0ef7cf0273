"""Layer ``chiplet``: the processor in several dies, layers placed on dies, memory stacked on logic.

An interposer is 2.5D, stacking is 3D, both together 3.5D. What packaging saves is its maker's money (yield); what stacking
memory saves is the energy of its interface; activations between layers take next to no energy, but placing layers on dies makes
a pipeline.
"""

from __future__ import annotations

from deltastack.layers.chiplet.layer_placement import LayerPlacement
from deltastack.layers.chiplet.memory_on_logic import MemoryOnLogic
from deltastack.layers.chiplet.packaging import ChipletPackaging
from deltastack.layers.technique import Layer

CHIPLET = Layer(name="chiplet", techniques=(ChipletPackaging(), LayerPlacement(), MemoryOnLogic()))
