"""What a layer is: a name and its techniques, each a rewrite of the deployment and a switch of the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from deltastack.errors import UnknownNameError
from deltastack.model import Params

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from deltastack.fleet.deployment import Deployment
    from deltastack.layers.measurement import Measurement
    from deltastack.testbed.vlm.engine import Engine

P = TypeVar("P", bound=Params)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    """What a technique does in order to do its work, as a switch of its own: measured alone, it can be counted once."""

    name: str
    """Its word in tables: the cell in which it runs alone is ``mechanism/NAME``."""
    words: str
    """What it does, in a few words."""
    switch: Callable[[Engine, Any], AbstractContextManager[None]]
    """Puts it on without the technique, with the technique's values; a function of a module, so that it can be pickled."""


class Technique(ABC, Generic[P]):
    """One technique of a layer: a pure rewrite on the fleet, a reversible switch on the testbed, or both.

    A subclass says all that the project knows of it. Without ``rewrite`` it has no cell on the fleet, and without ``switch``
    none on the testbed: its rows are absent there, never zero.
    """

    name: str
    """Its word in tables and params."""
    params: type[P]
    """The type of its values."""
    measurement: Measurement | None = None
    """How the testbed measures its switch; None where it has none."""
    mechanisms: tuple[Mechanism, ...] = ()
    """What it does in order to do its work. Layers that share one pay for it once: a product of their savings counts it twice."""

    def rewrite(self, deployment: Deployment, p: P) -> Deployment | None:
        """The deployment with this technique on.

        Raises:
            OutOfValidityError: The physics does not hold for this deployment.
        """
        del deployment, p
        return None

    def switch(self, engine: Engine, p: P) -> AbstractContextManager[None] | None:
        """On at entry, off at exit; torch is imported in here and not before.

        Raises:
            OutOfValidityError: Not applicable to this engine's model or device.
        """
        del engine, p
        return None

    @abstractmethod
    def control(self, p: P) -> P:
        """The same technique where Δ must be exactly 0."""
        ...

    @property
    def on_fleet(self) -> bool:
        """Whether it has a rewrite."""
        return type(self).rewrite is not Technique.rewrite

    @property
    def on_testbed(self) -> bool:
        """Whether it has a switch."""
        return type(self).switch is not Technique.switch


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One optimization layer: a name and the techniques that can be switched alone."""

    name: str
    techniques: tuple[Technique[Any], ...]
    values: Path | None = None
    """The file that an installed package brings; a checkout's own params/layers/NAME.yaml comes first."""

    def technique(self, name: str) -> Technique[Any]:
        """The technique of that name.

        Raises:
            UnknownNameError: This layer has no such technique.
        """
        for technique in self.techniques:
            if technique.name == name:
                return technique
        known = ", ".join(t.name for t in self.techniques)
        message = f"no technique '{name}' in layer '{self.name}'; it has: {known}"
        raise UnknownNameError(message)
