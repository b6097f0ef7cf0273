"""Exact work: by hand for one family, equal in every run, and the same for a layer in eight bits as for the layer."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from deltastack.model import Component
from deltastack.testbed.operation_count import audit
from deltastack.testbed.switches import placement
from deltastack.testbed.switches.settings import Lanes
from deltastack.testbed.vlm.served_model import Kind
from deltastack.testbed.vlm.serving import Rank, Ranked
from tests.testbed import tiny

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deltastack.testbed.vlm.served_model import Host
    from deltastack.testbed.vlm.serving import Tensors

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_text_by_hand(tmp_path: Path) -> None:
    """Two requests of 22 tokens, 4 new ones: rows 2 (22 + 1 + 1 + 1) in each layer; two layers, width 32.

    FFN: 2 x 50 rows x 3 x 32 x 64 x 2 layers. Attention: four 32 x 32 projections, and pairs 22 x 23 / 2 + 23 + 24 + 25 a
    request, 4 operations x 32 each. Head: 64 x 32, 2 rows for each of 4 tokens.
    """
    engine = tiny.engine("llava", tmp_path)
    text = tiny.session(engine)[1]

    work = audit(engine, (text,))

    pairs = 22 * 23 // 2 + 23 + 24 + 25
    assert text.prompts.shape == (2, 22)
    assert work.operations[Component.FFN] == 2 * 50 * 3 * 32 * 64 * 2
    assert work.operations[Component.ATTENTION] == 2 * (2 * 50 * 4 * 32 * 32 + 2 * pairs * 4 * 32)
    assert work.operations[Component.OTHER] == 2 * 8 * 64 * 32
    assert Component.ENCODER not in work.operations
    assert work.packed_operations == 0


def test_encoder_by_hand(tmp_path: Path) -> None:
    """Two images of 16 patches of 8 x 8 x 3 through two blocks of width 32 and a projector 32 > 32 > 32."""
    engine = tiny.engine("llava", tmp_path)
    image = tiny.session(engine)[0]

    encoder = audit(engine, (image,)).operations[Component.ENCODER]

    rows, width = 2 * 16, 32
    patches = 2 * rows * width * 3 * 8 * 8
    block = 2 * rows * (4 * width * width + 2 * width * 64) + 4 * 2 * 16 * 16 * width
    assert encoder == patches + 2 * block + 2 * rows * 2 * width * width


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_count_is_exact(family: str, tmp_path: Path) -> None:
    """Two audits agree to the last operation; text touches no weight of the encoder; twice the requests are twice the work."""
    engine = tiny.engine(family, tmp_path)
    image, text, _ = tiny.session(engine)

    first, again, told = audit(engine, (image, text)), audit(engine, (image, text)), audit(engine, (text,))
    double = audit(engine, (text, text))

    assert first.operations == again.operations
    assert first.operations[Component.ENCODER] > 0
    assert told.weights_touched < first.weights_touched
    assert double.total == 2 * told.total
    assert text.kind is Kind.TEXT


class Packed(nn.Module):
    """A stand-in that keeps its weight outside its parameters."""

    def __init__(self, replaced: nn.Linear) -> None:
        """Hide the weight."""
        super().__init__()
        self.in_features, self.out_features = replaced.in_features, replaced.out_features
        self._hidden = [replaced.weight]
        self.packed_byte = 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same product."""
        return nn.functional.linear(x, self._hidden[0])


def test_a_stand_in_counts_as_what_it_stands_for(tmp_path: Path) -> None:
    """All FFN layers packed: the same operations in all, all of the FFN's among the packed ones, the same weights touched."""
    engine = tiny.engine("llava", tmp_path)
    batches = tiny.session(engine)

    @contextlib.contextmanager
    def pack(host: Host, spare: Tensors) -> Iterator[None]:
        del spare
        sites = host.sites(Component.FFN)
        for s in sites:
            setattr(s.parent, s.name, Packed(s.module))
        yield
        for s in sites:
            setattr(s.parent, s.name, s.module)

    plain = audit(engine, batches)
    with engine.register("changes", "pack", Ranked(Rank.MODULES, "pack", pack)):
        packed = audit(engine, batches)

    assert packed.operations == plain.operations
    assert packed.packed_operations == plain.operations[Component.FFN]
    assert packed.weights_touched == plain.weights_touched


def test_micro_batches_read_the_weights_again(tmp_path: Path) -> None:
    """Two micro-batches: the same operations, and twice the bytes of weights; by hand 4 bytes a weight and call."""
    engine = tiny.engine("llava", tmp_path)
    text = tiny.session(engine)[1]

    whole = audit(engine, (text,))
    with placement.micro_batches(engine, Lanes(lanes=2, micro_batches=2)):
        cut = audit(engine, (text,))

    block, head = 4 * 32 * 32 + 3 * 32 * 64, 64 * 32
    assert whole.weights_read_byte == 4 * 4 * (2 * block + head)
    assert cut.weights_read_byte == 2 * whole.weights_read_byte
    assert cut.operations == whole.operations
