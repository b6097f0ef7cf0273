"""A factorial as one plain page without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from deltastack.own_runs import text

if TYPE_CHECKING:
    from deltastack.own_runs.result import FactorialResult


def page(result: FactorialResult) -> str:
    """The page as HTML."""
    env = Environment(loader=PackageLoader("deltastack.own_runs", "."), autoescape=True, undefined=StrictUndefined)
    return env.get_template("page.html").render(
        result=result,
        percent=text.percent,
        points=text.points,
        ends=text.ends,
        conclusion=text.conclusion,
        remarks=text.remarks,
        mark=lambda verdict: verdict if verdict in {"holds", "fails"} else "open",
    )
