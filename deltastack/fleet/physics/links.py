"""Bits between dies: energy of a hop, and what stacking memory on logic saves of the interface.

    E_hop = activation bytes x 8 x e_link              per token and layer boundary
    E_dram = (weight bytes / batch + kv bytes) x 8 x e_dram
    Δ DRAM energy of memory on logic = e_interface / e_dram

Source: UCIe energies a bit: Das Sharma, Hot Interconnects 2025 (0.5-0.6 pJ standard, 0.25-0.3 advanced, 0.01-0.05 3D);
HBM2 3.9 pJ/bit: O'Connor et al., MICRO 2017 (value assumed, range 3-7).
"""

from __future__ import annotations

from deltastack.errors import OutOfValidityError

BITS = 8


def hop_energy_j(hidden_size: int, bytes_per_activation: float, link_j_per_bit: float) -> float:
    """Energy [J] of one token's activation over one die boundary.

    Raises:
        OutOfValidityError: A negative figure.
    """
    if min(hidden_size, bytes_per_activation, link_j_per_bit) < 0:
        raise OutOfValidityError("sizes and energies are not negative")
    return hidden_size * bytes_per_activation * BITS * link_j_per_bit


def dram_energy_j(weight_bytes: float, kv_bytes: float, batch: float, dram_j_per_bit: float) -> float:
    """Energy [J] of one decoded token's DRAM reads: its share of the weights, and its own KV.

    Raises:
        OutOfValidityError: A batch below 1 or a negative figure.
    """
    if batch < 1 or min(weight_bytes, kv_bytes, dram_j_per_bit) < 0:
        raise OutOfValidityError(f"a batch has at least one sequence (found {batch}); sizes and energies are not negative")
    return (weight_bytes / batch + kv_bytes) * BITS * dram_j_per_bit


def interface_saving(interface_j_per_bit: float, dram_j_per_bit: float) -> float:
    """Share of DRAM energy that goes when the interface does: 0.5, 1, 1.5 of 3.9 pJ/bit are 13, 26, 38 %.

    Raises:
        OutOfValidityError: The interface takes more than the whole, or a figure is not positive.
    """
    if not 0 <= interface_j_per_bit <= dram_j_per_bit or dram_j_per_bit <= 0:
        raise OutOfValidityError(f"the interface ({interface_j_per_bit} J/bit) is part of the whole ({dram_j_per_bit} J/bit)")
    return interface_j_per_bit / dram_j_per_bit
