"""The fewest cells: by hand, on planted truths, against all sets of pairs, and through the command."""

from __future__ import annotations

import json
import math
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltastack.cli.main import app
from deltastack.cli.output import exit_code_of
from deltastack.composition import by_mechanism
from deltastack.decisions.cell_plan import Known, cell_plan, predicted
from deltastack.errors import ParamsError

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("a", "b", "c", "d")
SPLIT = {"split": ("a", "b")}


def planted(own: dict[str, float], shared: float = 0.0, pairs: dict[str, float] | None = None) -> Known:
    """All cells of ``own`` effects in logs; a and b pay ``shared`` once; pairs ("ab") interact."""
    names = tuple(own)
    cells = {}
    for n in range(len(names) + 1):
        for cell in combinations(names, n):
            more = sum(b for p, b in (pairs or {}).items() if set(p) <= set(cell))
            cells[frozenset(cell)] = sum(own[x] for x in cell) + (shared if {"a", "b"} & set(cell) else 0.0) + more
    return Known(cells=cells, mechanisms={"split": shared})


OWN = {"a": 0.1, "b": -0.1, "c": -0.3, "d": 0.2}


def test_before_anything_is_run() -> None:
    """Base, four alone, the mechanism and all together: seven cells of 16, and what the product would do is said."""
    found = cell_plan(NAMES, SPLIT, wanted=0.02)

    assert found.names == ("base", "a", "b", "c", "d", "mechanism/split", "a+b+c+d")
    assert found.counted_again == ("the mechanism split is shared by a and b: a product of their savings counts it twice",)
    assert found.following[0] == frozenset("ab")
    assert (found.reached, found.error) == (None, None)
    assert found.csv().splitlines()[:2] == ["a,b,c,d,split,repeat,metric", "0,0,0,0,0,1,"]
    assert found.csv().splitlines()[6:] == ["0,0,0,0,1,1,", "1,1,1,1,0,1,"]
    assert cell_plan(NAMES, {"split": ("a",)}, wanted=0.02).mechanisms == ()


def test_a_mechanism_is_enough_where_it_is_all() -> None:
    """One cell more and no pair: by mechanism is exact, where the product is off in every cell with both."""
    found = cell_plan(NAMES, SPLIT, wanted=0.001, known=planted(OWN, 0.4))

    assert (found.mechanisms, found.pairs, found.reached) == (("split",), (), True)
    assert found.error == pytest.approx(0, abs=1e-12)
    assert found.product_error is not None
    assert found.product_error > 0.3
    assert len(found.names) == 7


def test_then_the_pairs_that_matter() -> None:
    """Two planted pairs beside the mechanism: these two are taken and no other, nine cells of 16."""
    found = cell_plan(NAMES, SPLIT, wanted=0.001, known=planted(OWN, 0.4, {"bc": 0.1, "cd": -0.2}))

    assert set(found.pairs) == {frozenset("bc"), frozenset("cd")}
    assert found.reached
    assert len(found.names) == 9


def test_a_product_that_is_right_needs_neither() -> None:
    """Where singles multiply the plan is base, singles and the check."""
    found = cell_plan(NAMES, {"split": ("a", "b")}, wanted=0.02, known=planted(OWN))

    assert (found.mechanisms, found.pairs, found.reached) == ((), (), True)


def test_what_to_run_next() -> None:
    """Singles and the check alone: the mechanism that was not run is in the plan, and the largest effects come first."""
    full = planted(OWN | {"c": -0.4}, 0.4, {"cd": -0.2})
    few = Known(cells={c: y for c, y in full.cells.items() if len(c) in {0, 1, 4}})
    found = cell_plan(NAMES, SPLIT, wanted=0.02, known=few)

    assert (found.mechanisms, found.pairs, found.reached) == (("split",), (), False)
    assert found.following[0] == frozenset("ac")  # 0.5 and -0.4 in logs; a and b 0.5 and 0.3
    assert "run next: a+c" in found.words


@given(st.lists(st.floats(-0.4, 0.4), min_size=4, max_size=4), st.floats(-0.5, 0.5))
def test_without_pairs_it_is_by_mechanism(own: list[float], shared: float) -> None:
    """Of all layers together, the prediction is the formula's."""
    known = planted(dict(zip(NAMES, own, strict=True)), shared)
    deltas = [-math.expm1(known.left(frozenset(x))) for x in NAMES]
    uses = [[x in SPLIT["split"]] for x in NAMES]

    said = predicted(known, SPLIT, (), frozenset(NAMES))
    assert -math.expm1(said) == pytest.approx(by_mechanism(deltas, [-math.expm1(shared)], uses))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-0.2, 0.2), min_size=6, max_size=6), st.floats(0.005, 0.05))
def test_no_smaller_set_of_pairs_reaches_it(betas: list[float], wanted: float) -> None:
    """Every set with fewer pairs is off by more; all pairs reach everything where no three layers interact."""
    keys = ["".join(p) for p in combinations(NAMES, 2)]
    known = planted(OWN, 0.0, dict(zip(keys, betas, strict=True)))
    found = cell_plan(NAMES, {}, wanted=wanted, known=known)

    def off(pairs: tuple[frozenset[str], ...]) -> float:
        several = [c for c in known.cells if len(c) > 1]
        return max(abs(math.exp(known.left(c)) - math.exp(predicted(known, {}, pairs, c))) for c in several)

    assert found.reached
    every = [frozenset(k) for k in keys]
    assert all(off(some) > wanted for n in range(len(found.pairs)) for some in combinations(every, n))


@pytest.mark.parametrize(
    ("layers", "uses", "wanted", "words"),
    [
        (("a",), {}, 0.02, "wanted 2 or more different ones"),
        (("a", "a"), {}, 0.02, "wanted 2 or more different ones"),
        (("a", "b"), {"m": ("a", "z")}, 0.02, "z is no layer; there are: a, b"),
        (("a", "b"), {}, 2.0, "wanted a fraction between 0 and 1"),
    ],
)
def test_refused(layers: tuple[str, ...], uses: dict[str, tuple[str, ...]], wanted: float, words: str) -> None:
    """In one line, with what there is."""
    with pytest.raises(ParamsError, match=words):
        cell_plan(layers, uses, wanted=wanted)
    with pytest.raises(ParamsError, match="not run: b; every plan needs the base and each layer alone"):
        cell_plan(("a", "b"), {}, wanted=0.02, known=Known(cells={frozenset(): 0.0, frozenset("a"): 0.1}))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A CSV before anything is run, the same table afterwards, JSON, and a mechanism without layers."""

    def said(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["deltastack", "plan", *words])
        code = exit_code_of(app)
        out, err = capsys.readouterr()
        return code, out, err

    code, out, err = said("--layer", "a", "--layer", "b", "--mechanism", "split=a,b")
    assert code == 0
    assert out.splitlines()[0] == "a,b,split,repeat,metric"
    assert "counts it twice" in err
    table = tmp_path / "runs.csv"
    table.write_text("a,b,split,repeat,latency_ms\n0,0,0,1,100\n1,0,0,1,150\n0,1,0,1,120\n0,0,1,1,150\n1,1,0,1,121\n")
    code, out, _ = said(str(table), "--mechanism", "split=a,b")
    assert code == 0
    assert "5 cells instead of 4: the base, 2 alone, 1 shared mechanism, and all together. Off by 1.0 points" in " ".join(
        out.split()
    )
    code, out, _ = said(str(table), "--mechanism", "split=a,b", "--json")
    assert json.loads(out)[0]["reached"] is True
    assert said("--mechanism", "split=a,b")[0] == 2
    assert said(str(table), "--mechanism", "split")[0] == 2
