"""What matters least in a decoder layer, and how it is cut out of the layer's weights.

A head is a key-value head with all of its query heads, so that keys and values shrink with it; a channel is one of the
feed-forward width. Importance is read from the weights alone (no data):

    head g       sqrt( sum_r |O_gr V_g|^2 )      r: its query heads; Frobenius norm of what it can write
    channel c    |gate_c| |up_c| |down_c|        norms of its row, its row and its column

Every layer keeps the same share, so that what is saved depends on the shape alone and not on the numbers of the weights. Channels
are kept in whole blocks of BLOCK.

Source: norms of weights need no data (Michel, Levy & Neubig, arXiv 1905.10650, rank heads by the gradient of a loss): this
project, decision 0009.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from deltastack.errors import OutOfValidityError
from deltastack.testbed.switches.stored_names import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

    from deltastack.testbed.vlm.served_model import Host
    from deltastack.testbed.vlm.serving import Tensors


class Block(NamedTuple):
    """One attention or feed-forward block: its dotted name, and how many units it has."""

    path: str
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What can be cut out of a decoder layer."""

    child: str
    """The layer's attention or feed-forward block."""
    axes: Mapping[str, int]
    """By linear layer, the axis of its weight along which units lie: 0 for what a unit reads, 1 for what it writes."""
    importance: Callable[[Mapping[str, Tensor], int], Tensor]
    """Of each unit, (units,), from the block's weights by name."""
    units: Callable[[nn.Module], int]
    step: int
    """Units are kept in multiples of this where there are whole multiples of it."""

    def kept(self, units: int, share: float) -> int:
        """How many of ``units`` stay: the nearest to ``share``, at least one step."""
        step = self.step if units % self.step == 0 else 1
        return max(step, round(share * units / step) * step)


def head_importance(weights: Mapping[str, Tensor], heads: int) -> Tensor:
    """Frobenius norm of what each key-value head can write, (heads,), from v (heads D, H) and o (H, heads R D).

    |O V|^2 = tr(O'O VV'), so that nothing larger than D x D is formed.
    """
    import torch

    v = weights["v_proj"].to(torch.float64)
    v = v.view(heads, -1, v.shape[1])
    o = weights["o_proj"].to(torch.float64)
    o = o.reshape(len(o), heads, -1, v.shape[1])
    written = torch.einsum("hgrd,hgre->gde", o, o)
    found: Tensor = (written * (v @ v.transpose(1, 2))).sum((1, 2)).clamp_min(0).sqrt()
    return found


def channel_importance(weights: Mapping[str, Tensor], channels: int) -> Tensor:
    """Product of the norms of each channel's rows and column, (channels,)."""
    import torch

    gate, up, down = (weights[name].to(torch.float64) for name in ("gate_proj", "up_proj", "down_proj"))
    found: Tensor = gate.norm(dim=1) * up.norm(dim=1) * down.norm(dim=0)
    assert found.shape == (channels,)  # noqa: S101 - a block that was probed at the switch
    return found


def _key_value_heads(attention: Any) -> int:
    return int(attention.k_proj.out_features // attention.head_dim)


def _channels(mlp: Any) -> int:
    return int(mlp.gate_proj.out_features)


HEADS = Part(
    child="self_attn",
    axes={"q_proj": 0, "k_proj": 0, "v_proj": 0, "o_proj": 1},
    importance=head_importance,
    units=_key_value_heads,
    step=1,
)
CHANNELS = Part(
    child="mlp",
    axes={"gate_proj": 0, "up_proj": 0, "down_proj": 1},
    importance=channel_importance,
    units=_channels,
    step=BLOCK,
)


PARTS: Mapping[str, Part] = {"head_pruning": HEADS, "weight_pruning": CHANNELS}


def blocks(host: Host, part: Part) -> tuple[Block, ...]:
    """The blocks of the decoder's layers that ``part`` is about.

    Raises:
        OutOfValidityError: A block without one of the linear layers that are cut.
    """
    names = {id(m): name for name, m in host.model.named_modules()}
    found = []
    for layer in host.layers:
        block = getattr(layer, part.child)
        lacking = [name for name in part.axes if not hasattr(block, name)]
        if lacking:
            there = ", ".join(n for n, _ in block.named_children())
            raise OutOfValidityError(f"not applicable: {type(block).__name__} has no '{lacking[0]}' to cut; it has: {there}")
        found.append(Block(names[id(block)], part.units(block)))
    return tuple(found)


def cut(tensors: Tensors, part: Part, blocks: tuple[Block, ...], share: float) -> Tensors:
    """The tensors without the least important units of every block; blocks that are not among them are passed over."""
    stored = dict(tensors)
    for path, units in blocks:
        names = {name: f"{path}.{name}" for name in part.axes}
        if any(f"{name}.weight" not in stored for name in names.values()):
            continue
        weights = {short: stored[f"{name}.weight"] for short, name in names.items()}
        stay = part.importance(weights, units).topk(part.kept(units, share)).indices.sort().values
        for short, axis in part.axes.items():
            stored[f"{names[short]}.weight"] = chosen(weights[short], axis, units, stay)
            if axis == 0 and f"{names[short]}.bias" in stored:
                stored[f"{names[short]}.bias"] = chosen(stored[f"{names[short]}.bias"], 0, units, stay)
    return stored


def chosen(tensor: Tensor, axis: int, units: int, stay: Tensor) -> Tensor:
    """``tensor`` with only the units ``stay`` of the ``units`` that lie along ``axis``."""
    each = tensor.reshape(*tensor.shape[:axis], units, -1, *tensor.shape[axis + 1 :])
    return each.index_select(axis, stay).flatten(axis, axis + 1)
