"""Claims of others held against formulas, our own tables, or quoted evidence; each gets a verdict with its reason.

=================  ==========================================================================================
confirmed          the figure, or the saving, is there
refuted            it is not
out of domain      it holds only under conditions that the claim does not state, or that our workload does not meet
untestable here    nothing at hand can decide it, and the reason says what would
=================  ==========================================================================================
"""

from deltastack.claims.judging import Finding, judge
from deltastack.claims.registry import Claim, Claims, Verdict

__all__ = ["Claim", "Claims", "Finding", "Verdict", "judge"]
