"""A student in the place of the model: fewer decoder layers of the same width, with weights of its own or its teacher's.

    kept layers n = max(1, round(share L))        student layer i takes the place of teacher layer round(i (L - 1) / (n - 1))

Fewer layers and not narrower ones, because attention heads stay comparable one by one, weights can be taken over as a
start, and nothing of the host has to be built anew. Source: DistilBERT (arXiv 1910.01108) takes every other layer as well.

The encoder, the projector and the shape of every layer stay the teacher's, so that all other techniques find what they
look for. Weights of a student come from a file that was trained (``taught``) or, where the teacher's own are random, from
the teacher's layers (``untaught``: real in its resources, without any quality).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from deltastack.errors import OutOfValidityError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from deltastack.testbed.vlm.served_model import Host
    from deltastack.testbed.vlm.serving import StorageHook, Tensors


class Student(NamedTuple):
    """What is served in the model's place."""

    name: str
    """Names the stored file: equal names must mean equal weights."""
    layers: int
    """Decoder layers, the first ones of the host."""
    weights: StorageHook
    """Its tensors from the teacher's, under the names of the layers that are left."""


Students = Callable[[str, "Host"], Student]
"""The student of a technique for a host; raises OutOfValidityError where there is none."""


def spread(layers: int, share: float) -> tuple[int, ...]:
    """The teacher's layers whose places the student's take, first and last among them.

    >>> spread(6, 0.5), spread(3, 0.66), spread(3, 0.1)
    ((0, 2, 5), (0, 2), (0,))
    """
    count = max(1, round(share * layers))
    return tuple(round(i * (layers - 1) / (count - 1)) for i in range(count)) if count > 1 else (0,)


def taken(tensors: Tensors, prefix: str, places: tuple[int, ...]) -> Tensors:
    """The tensors with the layers at ``places`` as layers 0, 1, ...; the other layers below ``prefix`` are left out."""
    at = {f"{place}": n for n, place in enumerate(places)}
    kept: Tensors = {}
    for name, tensor in tensors.items():
        if not name.startswith(prefix):
            kept[name] = tensor
            continue
        place, rest = name.removeprefix(prefix).split(".", maxsplit=1)
        if place in at:
            kept[f"{prefix}{at[place]}.{rest}"] = tensor
    return kept


def prefix(host: Host) -> str:
    """What the names of the decoder layers' tensors begin with."""
    return next(f"{name}." for name, module in host.model.named_modules() if module is host.layers)


def untaught(share: float) -> Students:
    """Students of a teacher with random weights: its own layers, fewer of them, whatever the technique."""

    def student(technique: str, host: Host) -> Student:
        del technique
        places = spread(len(host.layers), share)
        return Student(f"untaught_{len(places)}", len(places), partial(taken, prefix=prefix(host), places=places))

    return student


def nobody(why: str) -> Students:
    """No student of this model: refused with the reason."""

    def student(technique: str, host: Host) -> Student:
        del host
        raise OutOfValidityError(f"not applicable: {technique} has no student of this model; {why}")

    return student


@contextlib.contextmanager
def shortened(layers: nn.ModuleList, student: Student | None) -> Iterator[None]:
    """Only the student's layers in the host while a session runs; the very same modules are back at exit."""
    gone = [] if student is None else list(layers[student.layers :])
    if gone:
        del layers[len(layers) - len(gone) :]
    try:
        yield
    finally:
        layers.extend(gone)
