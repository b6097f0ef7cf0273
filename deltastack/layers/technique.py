"""What a layer is: a name and its techniques, each a rewrite of the deployment and a switch of the engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from deltastack.errors import UnknownNameError
from deltastack.model import Params

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from deltastack.fleet.deployment import Deployment
    from deltastack.testbed.vlm.engine import Engine

P = TypeVar("P", bound=Params)


class Technique(Protocol[P]):
    """One technique of a layer: a pure rewrite on the fleet, a reversible switch on the testbed."""

    @property
    def name(self) -> str:
        """Its word in tables and params."""
        ...

    @property
    def params(self) -> type[P]:
        """The type of its values."""
        ...

    def rewrite(self, deployment: Deployment, p: P) -> Deployment | None:
        """The deployment with this technique on; None if it makes no sense on the fleet.

        Raises:
            OutOfValidityError: The physics does not hold for this deployment.
        """
        ...

    def switch(self, engine: Engine, p: P) -> AbstractContextManager[None] | None:
        """On at entry, off at exit; None if it makes no sense on the testbed."""
        ...

    def control(self, p: P) -> P:
        """The same technique where Δ must be exactly 0."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One optimization layer: a name and the techniques that can be switched alone."""

    name: str
    techniques: tuple[Technique[Any], ...]

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
