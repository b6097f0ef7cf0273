"""Two processes with half of the layers each give the tokens of one, and what crosses the link is counted to the byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from deltastack.errors import EvidenceError
from deltastack.testbed.sweeps.mailbox import Mailbox
from deltastack.testbed.sweeps.two_process_pipeline import Halves
from deltastack.testbed.switches.settings import Lanes
from deltastack.testbed.vlm.serving import Rank, Ranked
from tests.testbed import tiny
from tests.testbed.switches.cases import switch_on

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_a_message_by_hand() -> None:
    """Three floats, nothing, and a bfloat16: they come out as they went in; one that is too large is refused."""
    box = Mailbox(4096)
    first, last = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor(0.5, dtype=torch.bfloat16)
    sent = box.put([first, None, last])
    a, nothing, b = box.take()

    assert torch.equal(a, first)
    assert nothing is None
    assert torch.equal(b, last)
    assert sent == 8 + len('[[[1, 3], "float32"], null, [[], "bfloat16"]]') + 12 + 2
    with pytest.raises(EvidenceError, match="does not fit into a mailbox of 4096"):
        box.put([torch.zeros(1025)])


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_two_processes_give_the_tokens_of_one(family: str, tmp_path: Path) -> None:
    """Alone and with two micro-batches in lanes: same tokens, then the same logits bit for bit; messages are counted."""
    engine = tiny.engine(family, tmp_path)
    batches = tiny.session(engine)
    base = engine.run(batches)
    whole, lanes = Halves(at=1), Halves(at=1)

    with engine.register("changes", "apart", Ranked(Rank.HOOKS, "apart", whole)):
        apart = engine.run(batches)
    with (
        engine.register("changes", "apart", Ranked(Rank.HOOKS, "apart", lanes)),
        switch_on("layer_placement", engine, Lanes(lanes=2, micro_batches=2)),
    ):
        overlapped = engine.run(batches)
    after = engine.run(batches)

    for other in (apart, overlapped, after):
        assert all(torch.equal(a.tokens, b.tokens) for a, b in zip(base.served, other.served, strict=True))
    assert all(torch.equal(a.logits, b.logits) for a, b in zip(base.served, after.served, strict=True))
    # three batches of four forwards each; two rows of a prompt and then three single tokens, 32 numbers of 4 bytes each
    assert whole.messages == 12
    assert whole.received_byte == 3 * 2 * (batches[0].prompts.shape[1] + 3) * 32 * 4
    assert whole.sent_byte > whole.received_byte
    assert lanes.messages == 24
    assert lanes.received_byte == whole.received_byte
    assert lanes.fork_cpu_s > 0
