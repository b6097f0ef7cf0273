"""The stage, the choice of a trace, and the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deltastack.cli import main as command
from deltastack.contracts import WORKLOAD
from deltastack.errors import ParamsError, WorkloadError
from deltastack.workload import settings
from deltastack.workload.settings import set_trace
from tasks import workload as stage
from tests.workload.samples import LLM_2023, LMM_2024, write

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the shipped parameters, and a workload small enough for a test."""
    (tmp_path / "params").mkdir()
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    text = (ROOT / settings.FILE).read_text().replace("requests: 142848", "requests: 500")
    (tmp_path / settings.FILE).write_text(text)
    settings._rewrite(tmp_path / settings.FILE, None)  # whatever this checkout has chosen
    return tmp_path


def test_the_generated_workload_is_written_with_what_it_is(checkout: Path) -> None:
    """Without a trace the stage writes the generated mix, and says so."""
    stage.run(checkout)

    facts = json.loads((checkout / "data/workload.json").read_text())
    assert len(WORKLOAD.read(checkout / "data/workload.parquet")) == facts["requests"] == 500
    assert facts["trace"] is None
    assert facts["format"].startswith("generated")
    assert facts["image_tokens"] == "assumed"


def test_a_trace_is_taken_checked_and_used(checkout: Path, tmp_path: Path) -> None:
    """The file is copied under its hash, only the trace entry changes, comments stay, and the stage reads it."""
    before = (checkout / settings.FILE).read_text()

    taken = set_trace(checkout, write(tmp_path, LLM_2023, "conv.csv"))
    stage.run(checkout)

    after = (checkout / settings.FILE).read_text()
    assert taken is not None
    assert taken.startswith("data/traces/")
    assert next(a for a, b in zip(before.splitlines(), after.splitlines(), strict=False) if a != b).startswith("trace: null")
    assert "# one day at 99.2 requests/min" in after
    assert json.loads((checkout / "data/workload.json").read_text())["requests"] == 3
    assert set_trace(checkout, None) is None
    assert settings.load(checkout).trace is None


def test_setting_the_same_trace_again_changes_nothing(checkout: Path, tmp_path: Path) -> None:
    """The parameter file keeps its bytes, so no stage becomes stale."""
    file = write(tmp_path, LMM_2024, "lmm.csv")
    set_trace(checkout, file)
    before = (checkout / settings.FILE).read_bytes()

    set_trace(checkout, file)

    assert (checkout / settings.FILE).read_bytes() == before


def test_a_trace_and_back_leaves_every_byte(checkout: Path, tmp_path: Path) -> None:
    """Only the entry ``trace`` changes, four lines for one; back at the generator the file is what it was."""
    shipped = (checkout / settings.FILE).read_text()
    set_trace(checkout, write(tmp_path, LMM_2024, "lmm.csv"))
    taken = (checkout / settings.FILE).read_text()
    set_trace(checkout, write(tmp_path, LLM_2023, "llm.csv"))
    set_trace(checkout, None)

    before, after = shipped.split("trace: null\n")
    assert taken.startswith(f"{before}trace:\n  path: data/traces/")
    assert taken.endswith(f"drop_bad: false\n{after}")
    assert (checkout / settings.FILE).read_text() == shipped


def test_settings_without_the_entry_are_refused(checkout: Path) -> None:
    """A file that says the trace elsewhere is not guessed at."""
    path = checkout / settings.FILE
    path.write_text(path.read_text().replace("trace: null\n", ""))

    with pytest.raises(ParamsError, match="wanted one entry 'trace:' at the start of a line, found 0"):
        settings._rewrite(path, None)


def test_a_bad_trace_leaves_the_settings_alone(checkout: Path, tmp_path: Path) -> None:
    """It is refused before anything is copied or changed."""
    before = (checkout / settings.FILE).read_bytes()

    with pytest.raises(WorkloadError, match="bad rows"):
        set_trace(checkout, write(tmp_path, LLM_2023 + "\nx,1,1\n", "bad.csv"))

    assert (checkout / settings.FILE).read_bytes() == before
    assert not (checkout / "data" / "traces").exists()


def test_a_changed_or_lost_trace_is_refused(checkout: Path, tmp_path: Path) -> None:
    """The taken copy is known by its content; without it the message says how to get it back."""
    taken = set_trace(checkout, write(tmp_path, LLM_2023, "conv.csv"))
    assert taken is not None
    (checkout / taken).write_text(LLM_2023.replace("374", "375"))

    with pytest.raises(WorkloadError, match=r"is not the trace that params/workload\.yaml names"):
        stage.run(checkout)
    shutil.rmtree(checkout / "data" / "traces")
    with pytest.raises(WorkloadError, match="run `deltastack run --trace FILE`"):
        stage.run(checkout)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command line; exit code, stdout, stderr."""

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["deltastack", *words])
        with pytest.raises(SystemExit) as stop:
            command.main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return call


def test_describe_json(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """One JSON value with the promised keys."""
    code, out, _ = run("workload", "describe", str(write(tmp_path, LMM_2024)), "--json")

    facts = json.loads(out)
    assert code == 0
    assert facts["requests"] == 3
    assert facts["span_s"] == pytest.approx(6.244)
    assert facts["text_only_share"] == pytest.approx(1 / 3)
    assert facts["requests_per_s"] == pytest.approx(3 / 6.244)
    assert facts["quantiles"]["prompt_tokens"]["p50"] == 949


def test_describe_for_people(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """A sentence and a table."""
    code, out, _ = run("workload", "describe", str(write(tmp_path, LLM_2023)))

    assert code == 0
    assert "no request carries an image" in out
    assert "prompt_tokens" in out


def test_bad_input_exits_2_with_one_line(run: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    """The message is one line on stderr; stdout stays empty."""
    code, out, err = run("workload", "describe", str(write(tmp_path, LLM_2023 + "\nx,1,1\n")), "--json")

    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "line 5: timestamp cannot be read" in err


def test_generate_writes_what_describe_reads(
    run: Callable[..., tuple[int, str, str]], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generated file is a workload again, with the asked number of requests."""
    monkeypatch.chdir(checkout)
    code, out, _ = run("workload", "generate", "--out", "w.parquet", "--requests", "50", "--variant", "text_only", "--json")
    described = json.loads(run("workload", "describe", "w.parquet", "--json")[1])

    assert code == 0
    assert json.loads(out)["requests"] == described["requests"] == 50
    assert described["text_only_share"] == 1.0
