"""``deltastack simulate`` and ``capacity``: the answer's keys, and every refusal with its words and exit code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from deltastack.cli import main, output

if TYPE_CHECKING:
    from pathlib import Path

LOOP = "--closed-loop 4 --output-tokens 20 --draws 3"


def call(words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of a command line."""
    monkeypatch.setattr("sys.argv", ["deltastack", *words.split()])
    return output.exit_code_of(main.app)


def test_the_answer_of_a_closed_loop(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON value with throughput, latencies, power of the accelerators alone, and usage with its ends."""
    code = call(f"simulate {LOOP} --prompt-tokens 150 --image-tokens 900 --json", monkeypatch)
    found = json.loads(capsys.readouterr().out)

    assert code == 0
    assert found["energy_per_token_j"] == pytest.approx(found["power_w"] / found["output_tokens_per_s"])
    assert found["requests_per_s"] == pytest.approx(found["output_tokens_per_s"] / 20)
    assert all(set(found[k]) == {"p50", "p90", "p99"} for k in ("ttft_s", "tpot_s", "e2e_s"))
    assert all(r["lo"] <= r["amount"] <= r["hi"] for r in found["usage"])
    assert {"component", "resource", "amount", "lo", "hi", "evidence", "reason"} == set(found["usage"][0])


def test_money_on_another_platform_is_a_dash_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The price that is written down is an H100's: on an H200 energy has its ends, money is null, and the reason is told once."""
    assert call(f"simulate {LOOP} --platform h200_sxm --json", monkeypatch) == 0
    usage = json.loads(capsys.readouterr().out)["usage"]
    money, energy = ([r for r in usage if r["resource"] == name] for name in ("cost_usd", "energy_j"))

    assert {(r["amount"], r["lo"], r["hi"]) for r in money} == {(None, None, None)}
    assert all(r["lo"] <= r["amount"] <= r["hi"] for r in energy)
    assert call(f"simulate {LOOP} --platform h200_sxm", monkeypatch) == 0
    assert capsys.readouterr().out.count("no price of h200_sxm: prices in params/fleet.yaml are of h100_sxm") == 1


def test_more_patience_takes_more_requests(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The goodput with 5 ms of slack a token is below that with 20 ms; a seed of its own moves it by less than 5 %."""
    rates = []
    for words in ("--slack-token 0.005", "--slack-token 0.02", "--slack-token 0.02 --seed 9"):
        assert call(f"capacity --output-tokens 150 --slack 1 {words} --draws 1 --json", monkeypatch) == 0
        rates.append(json.loads(capsys.readouterr().out)["requests_per_s"])

    assert 0 < rates[0] < rates[1]
    assert rates[2] != rates[1]
    assert rates[2] == pytest.approx(rates[1], rel=0.05)


def test_a_goodput_is_said_with_its_goal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The line names the share and the slack; three draws give the rate a range that holds it."""
    words = "capacity --output-tokens 20 --share 0.8 --slack 1 --slack-token 0.01"
    assert call(f"{words} --draws 1", monkeypatch) == 0
    assert "80% of requests end within their time alone + 1 s + 10 ms a token" in capsys.readouterr().out
    assert call(f"{words} --draws 3 --json", monkeypatch) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rate_lo"] <= found["requests_per_s"] <= found["rate_hi"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (f"simulate {LOOP} --model x/y", 2, "no operator times for model 'x/y'; there are: Qwen/Qwen3-14B"),
        (f"simulate {LOOP} --platform foo", 2, "no platform 'foo' in params/platforms; there are: a100_sxm"),
        (f"simulate {LOOP} --platform a100_sxm", 2, "the attention of visual encoders was never measured on it"),
        (f"simulate {LOOP} --model Qwen/Qwen3-VL-32B-Instruct --platform l40s", 3, "does not fit on l40s x 1"),
        (f"simulate {LOOP} --prompt-tokens 300000", 3, "exceed the context of Qwen/Qwen3-VL-8B-Instruct of 262144"),
        ("simulate --closed-loop 4", 2, "--closed-loop N needs --output-tokens"),
        ("simulate --closed-loop 4 --output-tokens nofile", 2, "wanted a number or a file of lengths"),
        ("capacity --share 1 --output-tokens 20 --draws 1", 2, "goals: share: Input should be less than 1"),
        ("capacity --slack -1 --output-tokens 20 --draws 1", 2, "goals: slack_s: Input should be greater than or equal to 0"),
    ],
)
def test_refusals(words: str, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that says what was wanted, what there is, and the exit code of its kind."""
    assert call(words, monkeypatch) == code
    assert said in capsys.readouterr().err


def test_lengths_of_a_file(tmp_path: Path) -> None:
    """One a line, a CSV column and quantiles are read; a bad row is named by its line."""
    from deltastack.errors import WorkloadError
    from deltastack.workload import lengths

    (tmp_path / "plain.txt").write_text("10\n20\n60\n")
    (tmp_path / "column.csv").write_text("model,output_tokens\na,10\na,50\n")
    (tmp_path / "quantiles.csv").write_text("quantile,output_tokens\n0.5,100\n0.9,300\nmean,140\n")
    (tmp_path / "bad.txt").write_text("10\nten\n")

    assert lengths.parse(str(tmp_path / "plain.txt")).seen.tolist() == [10, 20, 60]
    assert lengths.parse(str(tmp_path / "column.csv")).mean == 30
    assert lengths.parse(str(tmp_path / "quantiles.csv"))[1:] == (140.0, {0.5: 100.0, 0.9: 300.0})
    with pytest.raises(WorkloadError, match=r"bad.txt line 2: wanted a length of at least 1 token, found 'ten'"):
        lengths.parse(str(tmp_path / "bad.txt"))
