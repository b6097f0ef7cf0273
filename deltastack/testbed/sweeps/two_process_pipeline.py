"""The decoder's layers in two processes: the first half here, the second in a fork, joined by shared memory.

    with engine.register("changes", "apart", Ranked(Rank.HOOKS, "apart", halves)), layer_placement(engine, two lanes):
        engine.run(batches)

The fork happens inside the session, after the load: both processes share the pages of the weights, each runs its layers with
a cache of its own. Layer ``at`` is replaced by a module that sends what the layer was called with and waits for what comes out
of the last one; the layers behind it pass on. No model code is patched. With two lanes a micro-batch is here while another is
there. Messages, bytes and the fork's processor time are counted. An analogue of layers on chiplets: the link is memory.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import DynamicCache

from deltastack.errors import EvidenceError
from deltastack.testbed.sweeps.mailbox import BELL, Mailbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deltastack.testbed.vlm.served_model import Host
    from deltastack.testbed.vlm.serving import Tensors

BOXES = 8
"""One a micro-batch: as many as there may be."""
BOX_BYTE = 64 << 20


@dataclass(slots=True)
class Halves:
    """A change of the loaded model: layers from ``at`` on run in a fork. Counts what crosses the link."""

    at: int
    messages: int = 0
    sent_byte: int = 0
    received_byte: int = 0
    waited_s: list[float] = field(default_factory=list)
    """From sending a message to having its answer, which holds the fork's work."""
    fork_cpu_s: float = 0.0

    @contextlib.contextmanager
    def __call__(self, host: Host, spare: Tensors) -> Iterator[None]:
        """Fork, and replace the layers from ``at`` on; the fork ends and the layers are back at exit."""
        del spare
        before = list(host.layers)
        boxes = [Mailbox(BOX_BYTE) for _ in range(BOXES)]
        hears, rings = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(rings)
            _serve(before[self.at :], boxes, hears)
        os.close(hears)
        for box in boxes:
            os.close(box.rings)
        host.layers[self.at] = _There(before[self.at], self, boxes, rings)
        for i in range(self.at + 1, len(before)):
            host.layers[i] = _Passed(before[i])
        try:
            yield
        finally:
            for i, layer in enumerate(before):
                host.layers[i] = layer
            os.close(rings)
            for box in boxes:
                os.close(box.hears)
            _, _, used = os.wait4(process, 0)
            self.fork_cpu_s += used.ru_utime + used.ru_stime


class _Passed(nn.Module):
    """Stands where a layer is that runs elsewhere; keeps the layer's parts, so that they can be found."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.self_attn, self.mlp = layer.self_attn, layer.mlp

    def forward(self, hidden_states: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return hidden_states


class _There(_Passed):
    """Sends its call to the fork, and gives what comes back."""

    def __init__(self, layer: nn.Module, counts: Halves, boxes: list[Mailbox], rings: int) -> None:
        super().__init__(layer)
        self._counts, self._boxes, self._rings = counts, boxes, rings
        self._lock = threading.Lock()

    def forward(self, hidden_states: torch.Tensor, *_: object, **given: Any) -> torch.Tensor:
        number = micro_batch()
        box = self._boxes[number]
        began = time.perf_counter()
        sent = box.put([hidden_states, given.get("attention_mask"), *(given.get("position_embeddings") or (None, None))])
        os.write(self._rings, bytes([number]))
        if os.read(box.hears, 1) != BELL:
            raise EvidenceError("the process with the other half of the layers has ended")
        (answer,) = box.take()
        with self._lock:
            self._counts.messages += 1
            self._counts.sent_byte += sent
            self._counts.received_byte += hidden_states.numel() * hidden_states.element_size()
            self._counts.waited_s.append(time.perf_counter() - began)
        assert answer is not None  # noqa: S101 - the fork always answers with one tensor
        return answer


def micro_batch() -> int:
    """The number of the calling thread's micro-batch, which the runner with lanes gives as its name; 0 for whole batches."""
    last = threading.current_thread().name.rpartition("-")[2]
    return int(last) if last.isdigit() and int(last) < BOXES else 0


def _serve(layers: list[nn.Module], boxes: list[Mailbox], hears: int) -> None:
    """The fork: answers until nobody can ring any more, and ends without going back."""
    caches: dict[int, DynamicCache] = {}
    code = 1
    try:
        for box in boxes:
            os.close(box.hears)
        with torch.inference_mode():
            while number := os.read(hears, 1):
                _answer(layers, boxes[number[0]], caches, number[0])
        code = 0
    finally:
        os._exit(code)


def _answer(layers: list[nn.Module], box: Mailbox, caches: dict[int, DynamicCache], number: int) -> None:
    hidden, mask, *positions = box.take()
    if hidden is None:
        return
    if hidden.shape[1] > 1:
        caches[number] = DynamicCache()
    given = {
        "attention_mask": mask,
        "position_embeddings": tuple(positions),
        "past_key_values": caches[number],
        "use_cache": True,
    }
    for layer in layers:
        hidden = layer(hidden, **given)
    box.put([hidden])
    os.write(box.rings, BELL)
