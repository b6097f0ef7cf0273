"""Whether a switch makes sense on an engine: refused with the reason where it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.errors import OutOfValidityError

if TYPE_CHECKING:
    from deltastack.testbed.vlm.engine import Engine


def only_on_processor(engine: Engine, why: str) -> None:
    """Refuse an engine on another device.

    Raises:
        OutOfValidityError: The engine does not run on the processor.
    """
    if engine.device.name != "cpu":
        raise OutOfValidityError(f"not applicable: {why}; the engine runs on {engine.device.name}")
