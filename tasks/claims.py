"""Claims of params/claims.yaml and published pairs, held against the tables of this checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack import params
from deltastack.claims import Claims, judge
from deltastack.composition import read_published
from deltastack.errors import EvidenceError
from deltastack.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.claims import Finding
    from deltastack.report import Results

REGISTRY = "params/claims.yaml"
CASES = "params/published_compositions.yaml"


def check(root: Path) -> tuple[Finding, ...]:
    """Every claim's finding; layer claims are untestable until there is a joint table.

    Raises:
        ParamsError: A registry that does not hold.
        ContractError: A table that breaks its contract.
    """
    from tasks import aggregate

    try:
        results = aggregate.load(root)
    except EvidenceError:
        results = None
    return held(root, results)


def held(root: Path, results: Results | None) -> tuple[Finding, ...]:
    """Every claim's finding against ``results``.

    Raises:
        ParamsError: A registry that does not hold.
    """
    registry = params.load(root / REGISTRY, Claims)
    stack = params.load(root / "params/stack.yaml", Stack)
    return judge(registry.claims, read_published(root / CASES), results, tolerance=stack.tolerance)
