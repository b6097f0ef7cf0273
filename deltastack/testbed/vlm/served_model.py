"""The served model behind one shape: what every vision-language model has, whatever its classes are called."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from deltastack.errors import UnknownNameError
from deltastack.model import Component

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn


class Kind(StrEnum):
    """What a batch of requests carries."""

    IMAGE = "image"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Requests that are served together: all of one kind, prompts of one length, no padding.

    ``prompts`` (B, T) token numbers, image placeholders among them; ``images`` (B, H, W) grey levels 0..255, None for
    text; ``new_tokens`` are decoded greedily for each request; ``answers`` (B, A) expected tokens where they are known.
    """

    kind: Kind
    prompts: Tensor
    images: Tensor | None
    new_tokens: int
    answers: Tensor | None = None
    gap_s: float = 0.0
    """Idle time before this batch (virtual: it is accounted for, never waited for)."""

    def part(self, rows: slice) -> Batch:
        """The requests in ``rows``, as a batch of their own (a micro-batch)."""
        return Batch(
            kind=self.kind,
            prompts=self.prompts[rows],
            images=None if self.images is None else self.images[rows],
            new_tokens=self.new_tokens,
            answers=None if self.answers is None else self.answers[rows],
            gap_s=self.gap_s,
        )


class Site(NamedTuple):
    """A linear layer and where it hangs: ``setattr(parent, name, other)`` replaces it."""

    path: str
    """Dotted name from the model's root; ``path + '.weight'`` is its tensor in the file."""
    parent: nn.Module
    name: str
    module: nn.Linear
    component: Component


class Adapter(Protocol):
    """What differs between model families."""

    @property
    def image_size(self) -> int:
        """Side of the square image that the encoder takes [pixel]."""
        ...

    @property
    def image_tokens(self) -> int:
        """Placeholders that one image takes in a prompt."""
        ...

    def pixels(self, images: Tensor) -> dict[str, Tensor]:
        """Keyword arguments of the model's forward for (B, H, W) grey images: scaled, normalised, laid out."""
        ...

    def encode(self, pixels: dict[str, Tensor]) -> None:
        """Run encoder and projectors, and throw the result away."""
        ...

    def prefill(self, prompts: Tensor, pixels: dict[str, Tensor]) -> dict[str, Any]:
        """Keyword arguments of the forward that computes the prompts, (B, T)."""
        ...

    def step(self, prefill: dict[str, Any], done: int) -> dict[str, Any]:
        """Keyword arguments, beside tokens and cache, of the forward after ``done`` decoded tokens."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The model and its parts. Parts are the model's own modules: replacing a child replaces it in the model."""

    model: nn.Module
    family: str
    """``llava``, ``qwen3_vl`` or ``smolvlm``."""
    encoder: nn.Module
    """The vision tower."""
    encoder_blocks: nn.ModuleList
    projectors: tuple[nn.Module, ...]
    """Between encoder and decoder; empty where the encoder ends in its own projection."""
    decoder: nn.Module
    layers: nn.ModuleList
    """Decoder layers; each has ``self_attn`` and ``mlp``."""
    head: nn.Module
    embedding: nn.Module
    adapter: Adapter

    def parts(self) -> dict[Component, tuple[nn.Module, ...]]:
        """Modules whose time is a component's; what they do not cover is ``other``."""
        return {
            Component.ENCODER: (self.encoder, *self.projectors),
            Component.ATTENTION: tuple(_child(x, "self_attn") for x in self.layers),
            Component.FFN: tuple(_child(x, "mlp") for x in self.layers),
        }

    def sites(self, *components: Component) -> tuple[Site, ...]:
        """Linear layers of ``components`` (all by default), in the model's order; the output head is ``other``.

        A head that shares its weight with the embedding is left out: it cannot be replaced without the embedding.
        Between sessions the weights are empty and only the names hold.
        """
        return tuple(s for s in self._sites() if not components or s.component in components)

    def encoder_modules(self) -> tuple[nn.Module, ...]:
        """What text-only requests do not need: encoder and projectors."""
        return self.parts()[Component.ENCODER]

    def _sites(self) -> Iterator[Site]:
        from torch import nn

        component = {id(m): c for c, roots in self.parts().items() for r in roots for m in r.modules()}
        shared = {id(m.weight) for m in self.model.modules() if isinstance(m, nn.Embedding)}
        for parent_path, parent in self.model.named_modules():
            for name, child in parent.named_children():
                if isinstance(child, nn.Linear) and id(child.weight) not in shared:
                    path = f"{parent_path}.{name}" if parent_path else name
                    yield Site(path, parent, name, child, component.get(id(child), Component.OTHER))


def _child(layer: nn.Module, name: str) -> nn.Module:
    found = getattr(layer, name, None)
    if found is None:
        names = ", ".join(n for n, _ in layer.named_children())
        raise UnknownNameError(f"a decoder layer of {type(layer).__name__} has no '{name}'; it has: {names}")
    module: nn.Module = found
    return module
