"""Markup in every string that a user or a file controls: page, Prefect's and MLflow's words show it, and none obeys it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from deltastack.contracts import IMPORTED, JOINT
from flows import mlflow_view, prefect_artifacts, summary
from tasks import aggregate, outbox
from tests.report.project import finished

if TYPE_CHECKING:
    from pathlib import Path

EVIL = "<script>alert({n})</script><img src=x onerror=alert({n})>\"'`[x](javascript:alert({n}))"
OBEYED = re.compile(r"(?<!\\)<script>alert|(?<!\\)<img src=x")
"""Markup that a browser would act on, in HTML or in Markdown; a backslash before it takes its meaning."""


def evil(n: int) -> str:
    """A string of its own, so that a finding says where it came from."""
    return EVIL.format(n=n)


@pytest.fixture
def attacked(tmp_path: Path) -> Path:
    """A finished checkout in whose params, tables and facts every free text is markup."""
    root = finished(tmp_path / "here")
    facts = root / "data/workload.json"
    told = json.loads(facts.read_text()) | {"words": evil(1), "source": evil(2), "trace": evil(3)}
    facts.write_text(json.dumps(told))
    _published(root / "params/published_compositions.yaml")
    _claims(root / "params/claims.yaml")
    rows = [
        ("fp8", f"vLLM bench {evil(9)}", "time_per_output_token_s", n, 1.0, 0.5, False, "published", None, evil(10), evil(11))
        for n in range(2)
    ]
    IMPORTED.write(IMPORTED.frame(rows), root / "data/imported/fp8.parquet")
    for path in (root / "data/joint").glob("*.parquet"):
        JOINT.write(JOINT.read(path).assign(host=evil(12)), path)
    aggregate.run(root)
    return root


def _published(path: Path) -> None:
    cases = yaml.safe_load(path.read_text())
    cases[0] |= {"id": evil(4), "source": evil(5), "conditions": evil(6), "resource": evil(7)}
    path.write_text(yaml.safe_dump(cases))


def _claims(path: Path) -> None:
    tree = yaml.safe_load(path.read_text())
    tree["claims"][0]["claim"] = evil(8)
    tree["claims"][1]["section"] = evil(13)
    path.write_text(yaml.safe_dump(tree))


def test_the_pages(attacked: Path) -> None:
    """Every page that the report writes; the markup is there as text, so the search would find it."""
    pages = sorted((attacked / "reports").glob("**/*.html"))
    assert pages
    for page in pages:
        text = page.read_text()
        assert not OBEYED.search(text), page.name
        assert 'href="javascript:' not in text
    assert "&lt;script&gt;alert" in "".join(p.read_text() for p in pages)


def test_prefect_and_mlflow(attacked: Path) -> None:
    """The Markdown of Prefect's artifact and of MLflow's description, the run's name and tags, and the table of totals."""
    content = outbox.read(outbox.pending(attacked)[0])
    words = [prefect_artifacts.markdown(attacked), *summary.card(attacked), *summary.layers(attacked)]
    words += [mlflow_view.name(content), *mlflow_view.tags(content).values(), mlflow_view.table(attacked) or ""]
    for text in words:
        assert not OBEYED.search(text)
        assert not re.search(r"(?<!\\)\]\(javascript:", text)


def test_a_table_s_cell_ends_no_table() -> None:
    """A bar in a cell is no new column."""
    assert summary.markdown_table([["a"], ["x | <b>"]])[2] == r"| x \| \<b> |"
