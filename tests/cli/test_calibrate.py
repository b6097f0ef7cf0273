"""``deltastack calibrate`` as a person or a script meets it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from deltastack.cli.main import main
from deltastack.fleet import settings

ROOT = Path(__file__).parents[2]
ROWS = "model,concurrency,throughput,power,output_tokens\n" + "".join(
    f"Qwen/Qwen3-8B,{c},{t},{w},200\n" for c, t, w in ((4, 450, 410), (8, 900, 430), (16, 1700, 450), (32, 2900, 480))
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> object:
    """The exit code, stdout and stderr of ``deltastack calibrate WORDS`` in a checkout of its own."""
    shutil.copytree(ROOT / "params", tmp_path / "params")
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    (tmp_path / "mine.csv").write_text(ROWS)
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["deltastack", "calibrate", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(str(stop.value.code)), out, err

    return call


def test_json_of_a_users_file(run: object) -> None:
    """Constants, errors in sample and with each row left out, as fractions; one model only, so rows are left out."""
    code, out, err = run("mine.csv", "--json")  # type: ignore[operator]
    answer = json.loads(out)

    assert (code, err) == (0, "")
    assert (answer["rows"], answer["left_out"], answer["unsteady_rows"]) == (4, "row", [])
    assert answer["host_step_s"] >= 0
    assert answer["host_sequence_s"] >= 0
    assert answer["power"].keys() == {"base", "decode_attention", "compute"}
    assert answer["leave_one_out"].keys() == {"throughput", "power", "energy_per_token"}
    assert 0 < answer["in_sample"]["throughput"] < answer["leave_one_out"]["throughput"] < 1


def test_a_person_reads_the_constants_and_the_errors(run: object) -> None:
    """Milliseconds a step, the table, and that one model says less."""
    code, out, _ = run("mine.csv")  # type: ignore[operator]

    assert code == 0
    assert out.startswith("mine.csv: 4 rows fitted, 0 left out as not steady\nhost: ")
    assert "each row left out once" in out
    assert "one model only" in out


def test_write_changes_only_the_constants(run: object, tmp_path: Path) -> None:
    """params/fleet.yaml gets value, range and source of the host's two constants and power's three; other lines stay."""
    before = (ROOT / "params" / "fleet.yaml").read_text().splitlines()
    code, out, err = run("mine.csv", "--write", "--json")  # type: ignore[operator]
    after = (tmp_path / "params" / "fleet.yaml").read_text().splitlines()
    changed = [b for a, b in zip(before, after, strict=True) if a != b]

    assert code == 0
    assert "fleet.yaml" in err
    constants = ["host_step_s", "host_sequence_s", "busy_base", "busy_decode_attention", "busy_compute"]
    assert [line.split(":")[0].strip() for line in changed if line.split(":")[0].strip() in constants] == constants
    assert settings.load(tmp_path).values.deployment.host_step_s == pytest.approx(json.loads(out)["host_step_s"], rel=1e-3)
    assert f"value: {json.loads(out)['host_step_s']:.4g}" in changed[0]
    assert "fitted on mine.csv, 4 rows; range: each row left out once" in changed[0]


def test_a_bad_file_is_one_line_and_exit_2(run: object) -> None:
    """The line says where; nothing on stdout."""
    Path("bad.csv").write_text("model,concurrency,throughput\nacme/llm,8,900\n")
    code, out, err = run("bad.csv")  # type: ignore[operator]

    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "bad.csv: 1 bad rows: line 2: no operator times for model 'acme/llm'; there are: " in err
    assert run("nowhere.csv")[0] == 2  # type: ignore[operator]
