"""Code never comes from data: what would run it stands nowhere, or at the one place that is named here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(p for room in ("deltastack", "tasks", "flows") for p in (ROOT / room).rglob("*.py"))
CALLS = {
    "pickle.load",
    "pickle.loads",
    "marshal.loads",
    "eval",
    "exec",
    "os.system",
    "os.popen",
    "yaml.unsafe_load",
    "yaml.full_load",
    "yaml.load_all",
    "torch.load",
    "joblib.load",
    "tarfile.open",
    "shelve.open",
}
KNOWN = {("deltastack/fleet/simulator/numba_support.py", "pickle.loads")}
"""Compiled code that the same class wrote, beside the modules that it was compiled from: trusted as they are."""


def called(node: ast.Call) -> str:
    """The dotted name of what is called."""
    parts, at = [], node.func
    while isinstance(at, ast.Attribute):
        parts.append(at.attr)
        at = at.value
    return ".".join([at.id if isinstance(at, ast.Name) else "?", *reversed(parts)])


def flags(node: ast.Call) -> dict[str, object]:
    """Its keywords that are constants."""
    return {k.arg: k.value.value for k in node.keywords if k.arg and isinstance(k.value, ast.Constant)}


def findings(source: str) -> set[str]:
    """Calls that would run code from data."""
    calls = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call)]
    found = {called(n) for n in calls} & CALLS
    for n in calls:
        said = flags(n)
        found |= {f"{called(n)}({k}=True)" for k in ("shell", "allow_pickle", "trust_remote_code") if said.get(k) is True}
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_nothing_runs_code_from_data(path: Path) -> None:
    """No unpickling, no shell, no evaluation of text, no loader that would build objects."""
    name = path.relative_to(ROOT).as_posix()
    assert {(name, found) for found in findings(path.read_text(encoding="utf-8"))} <= KNOWN


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle\npickle.loads(b'')", "pickle.loads"),
        ("subprocess.run('x', shell=True)", "subprocess.run(shell=True)"),
        ("np.load(f, allow_pickle=True)", "np.load(allow_pickle=True)"),
        ("A.from_pretrained(p, trust_remote_code=True)", "A.from_pretrained(trust_remote_code=True)"),
        ("eval(text)", "eval"),
    ],
)
def test_the_search_finds_what_it_looks_for(source: str, found: str) -> None:
    """Each kind, planted."""
    assert findings(source) == {found}


def test_every_file_that_security_names_exists() -> None:
    """What is said to be held is there."""
    said = (ROOT / "SECURITY.md").read_text(encoding="utf-8").split("`")[1::2]
    missing = [w for w in said if w.startswith(("tests/", "deltastack/")) and not (ROOT / w).exists()]
    assert missing == []
