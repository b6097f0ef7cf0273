"""Tables that a person typed: what each column is, and one line for each fault."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from deltastack.cli.main import main
from deltastack.errors import FactorialError
from deltastack.own_runs import analyse

if TYPE_CHECKING:
    from pathlib import Path

ROWS = "0,0,1,100\n1,0,1,80\n0,1,1,50\n1,1,1,45\n"
GOOD = "fp8,spec,repeat,ttft_ms\n" + ROWS


def refused(tmp_path: Path, text: str, **options: object) -> str:
    """The one line that a table is refused with."""
    path = tmp_path / "runs.csv"
    path.write_text(text)
    with pytest.raises(FactorialError) as caught:
        analyse(path, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GOOD.replace("0,1,1,50\n", ""), "missing cell fp8=0 spec=1; add its runs"),
        (GOOD.replace("1,1,1,45\n", ""), "missing cell fp8=1 spec=1; add its runs"),
        (GOOD.replace("0,0,1,100\n", ""), "missing cell fp8=0 spec=0; add its runs"),
        (GOOD.replace("repeat", "repaet"), "unknown column 'repaet'; did you mean 'repeat'?"),
        (GOOD.replace("repeat", "concurency"), "unknown column 'concurency'; did you mean 'concurrency'?"),
        (GOOD.replace("ttft_ms", "thruoghput"), "did you mean 'throughput'?"),
        (GOOD.replace("100", "0.1"), "look like mixed units"),
        (GOOD.replace("100", "100 ms").replace("80", "0.08 s"), "mixed units 'ms' (line 2), 's' (line 3)"),
        (GOOD.replace(",80", ",80 ms"), "mixed units 'no unit' (line 2), 'ms' (line 3)"),
        (GOOD.replace("80", "80%"), "line 3, column 'ttft_ms': found '80%'; write a fraction (0.15 for 15 %)"),
        (GOOD.replace("ttft_ms", "accuracy"), "is a fraction between 0 and 1: write 0.753 for 75.3 %"),
        (GOOD.replace(",45", ",fast"), "line 5, column 'ttft_ms': found 'fast'; wanted a number"),
        (GOOD.replace(",45", ",-45"), "wanted a positive amount"),
        (GOOD.replace(",45", ",0"), "wanted a positive amount"),
        (GOOD.replace("ttft_ms", "tau"), "no column is a metric that is known by name"),
        (GOOD.replace("1,1,1,45", "1,1,45"), "line 5: 3 fields, the header has 4"),
        (GOOD.replace("spec", "fp8"), "column 'fp8' twice"),
        (GOOD + "1,1,1,46\n", "line 6: the same cell and repeat as line 5"),
        (GOOD.replace("1,1,1,45", "2,1,1,45"), "column 'fp8': found '2'; a layer is 0 (off) or 1 (on)"),
        ("", "empty; wanted a header and one row a run"),
        ("fp8,spec,ttft_ms\n", "only a header"),
        ("fp8,ttft_ms\n0,100\n1,50\n", "layers found: fp8; wanted 2 to 8 columns"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Each fault by its place, with what to change."""
    assert said in refused(tmp_path, text)


def test_a_tolerance_in_percent(tmp_path: Path) -> None:
    """2 is not 2 points."""
    assert "such as 0.02 for 2 points" in refused(tmp_path, GOOD, tolerance=2)


def test_a_block_that_lacks_a_cell_is_left_out_aloud(tmp_path: Path) -> None:
    """Two whole blocks count, the third is noted."""
    path = tmp_path / "runs.csv"
    rows = "".join(
        f"{a},{b},{k},{v * (1 + k / 100)}\n" for k in (1, 2) for a, b, v in ((0, 0, 100), (1, 0, 80), (0, 1, 50), (1, 1, 45))
    )
    path.write_text("fp8,spec,block,ttft_ms\n" + rows + "0,0,3,100\n")
    found = analyse(path).only

    assert found.joint.n == 2
    assert "1 block(s) lack a cell that others have and are left out" in found.notes


def test_a_metric_that_is_not_there(tmp_path: Path) -> None:
    """A misspelt --metric is told the column that it means."""
    assert "no column 'ttf_ms'; did you mean 'ttft_ms'?" in refused(tmp_path, GOOD, metric="ttf_ms")


def test_a_setting_that_changes_with_the_cells(tmp_path: Path) -> None:
    """Runs of two models are not compared: the model is a third change."""
    rows = "0,0,a,100\n1,0,b,80\n0,1,a,50\n1,1,b,45\n"

    assert "column 'model' differs between the cells ('a' in fp8=0 spec=0; 'b' in fp8=1 spec=0" in refused(
        tmp_path, "fp8,spec,model,ttft_ms\n" + rows
    )


def test_settings_are_analysed_one_by_one(tmp_path: Path) -> None:
    """Concurrency 1 and 8 in one file are two results; a hole in one is named with its setting."""
    text = "fp8,spec,concurrency,ttft_ms\n" + "".join(
        f"{a},{b},{c},{v * c}\n" for c in (1, 8) for a, b, v in ((0, 0, 100), (1, 0, 80), (0, 1, 50), (1, 1, 45))
    )
    path = tmp_path / "runs.csv"
    path.write_text(text)
    found = analyse(path)

    assert [c.setting for c in found.cases] == [{"concurrency": "1"}, {"concurrency": "8"}]
    assert found.to_dict()["settings"][1]["joint"]["delta"] == pytest.approx(0.55)
    assert "concurrency 8: missing cell fp8=1 spec=1" in refused(tmp_path, text.replace("1,1,8,360\n", ""))


def test_what_a_spreadsheet_writes(tmp_path: Path) -> None:
    """Semicolons, a byte order mark, on and off, one unit in every field, an empty reading."""
    path = tmp_path / "runs.csv"
    rows = "off;off;1;100 ms\non;off;1;80 ms\noff;on;1;50 ms\non;on;1;45 ms\non;on;2;\n"
    path.write_text("\ufefffp8;spec;repeat;ttft\n" + rows)
    found = analyse(path).only

    assert found.joint.delta == pytest.approx(0.55)
    assert "1 run(s) without a reading left out" in found.notes


def test_an_unknown_metric_with_its_direction(tmp_path: Path) -> None:
    """``tau`` is analysed when it is named with a direction, and refused without."""
    path = tmp_path / "runs.csv"
    path.write_text(GOOD.replace("ttft_ms", "tau"))

    assert analyse(path, metric="tau", higher_is_better=False).only.joint.delta == pytest.approx(0.55)
    assert "--higher-is-better or --lower-is-better" in refused(tmp_path, GOOD.replace("ttft_ms", "tau"), metric="tau")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "- {id: a, metric: s, higher_is_better: false, base: 10, a_alone: {name: x, value: 8}, b_alone: {name: y, value: 5}}",
            "together",
        ),
        (
            "- {id: a, metric: s, higher_is_better: false, base: 1, a_alone: {name: x, value: 8}, togehter: 4}",
            "unknown key 'togehter'; did you mean 'together'?",
        ),
        (
            "- {id: a, metric: s, higher_is_better: false, factors: [x, y], cells: {'00': 1, '10': 2, '01': 3}}",
            "missing cell x=1 y=1",
        ),
        ("- {id: a, metric: s, higher_is_better: false, factors: [x, y], cells: {'0': 1}}", "wanted 2 digits 0 or 1 in quotes"),
        (
            "- {id: a, metric: s, higher_is_better: false, factors: [x, y], cells: {'00': 90 ms, '10': 2, '01': 3, '11': 1}}",
            "write a number without its unit",
        ),
        (
            "- {id: a, metric: s, higher_is_better: false, factors: [x, y], cells: {'00': 50 %, '10': 2}}",
            "a fraction (0.15 for 15 %)",
        ),
        (
            "- {id: a, metric: s, higher_is_better: false, factors: [x, y], cells: {'00': 9000, '10': 2, '01': 3, '11': 1}}",
            "mixed units",
        ),
        ("", "found nothing"),
        ("[", "not YAML"),
    ],
)
def test_cases_that_are_refused(tmp_path: Path, text: str, said: str) -> None:
    """A YAML of cases with its fault."""
    path = tmp_path / "cases.yaml"
    path.write_text(text)
    with pytest.raises(FactorialError) as caught:
        analyse(path)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The exit code, stdout and stderr of a command."""
    monkeypatch.setattr(sys, "argv", ["deltastack", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    out, err = capsys.readouterr()
    return int(str(stop.value.code)), out, err


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Text within 80 columns, JSON, a page; a fault is one line and exit 2."""
    path, page = tmp_path / "runs.csv", tmp_path / "page.html"
    path.write_text(GOOD)
    code, out, _ = call(monkeypatch, capsys, "factorial", str(path), "--html", str(page))

    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "n = 1" in out
    assert "<td>fp8 alone</td>" in page.read_text()
    code, out, _ = call(monkeypatch, capsys, "factorial", str(path), "--json")
    assert json.loads(out)["joint"]["delta"] == pytest.approx(0.55)
    path.write_text(GOOD.replace("80", "80%"))
    code, out, err = call(monkeypatch, capsys, "factorial", str(path))
    assert (code, out, err.count("\n")) == (2, "", 1)
