"""Claims of params/claims.yaml and published pairs, held against the tables of this checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack import params
from deltastack.claims import Claims, judge
from deltastack.composition import read_published
from deltastack.errors import EvidenceError
from deltastack.stack import Stack
from tasks import results

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.analysis.analysis import Analysis
    from deltastack.claims import Finding

REGISTRY = "params/claims.yaml"
CASES = "params/published_compositions.yaml"


def check(root: Path) -> tuple[Finding, ...]:
    """Every claim's finding; layer claims are untestable until there is a joint table.

    Raises:
        ParamsError: A registry that does not hold.
        ContractError: A table that breaks its contract.
    """
    try:
        analysis = results.load(root)
    except EvidenceError:
        analysis = None
    return held(root, analysis)


def held(root: Path, analysis: Analysis | None) -> tuple[Finding, ...]:
    """Every claim's finding against ``analysis``.

    Raises:
        ParamsError: A registry that does not hold.
    """
    registry = params.load(root / REGISTRY, Claims)
    stack = params.load(root / "params/stack.yaml", Stack)
    return judge(registry.claims, read_published(root / CASES), analysis, tolerance=stack.tolerance)
