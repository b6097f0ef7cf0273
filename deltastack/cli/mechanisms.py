"""The option ``--mechanism NAME=A,B``: what several layers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack.errors import ParamsError

if TYPE_CHECKING:
    from collections.abc import Sequence


def parsed(given: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The layers of each mechanism, by its name.

    >>> parsed(["split=chiplet,pipeline"])
    {'split': ('chiplet', 'pipeline')}

    Raises:
        ParamsError: No name, no layer, a layer twice, or a mechanism twice.
    """
    found: dict[str, tuple[str, ...]] = {}
    for text in given:
        name, _, layers = (part.strip() for part in text.partition("="))
        of = tuple(x.strip() for x in layers.split(","))
        if not name or not all(of) or len(set(of)) < len(of) or name in found:
            raise ParamsError(f"--mechanism {text}: wanted NAME=A,B with a name and layers that stand once, such as split=a,b")
        found[name] = of
    return found
