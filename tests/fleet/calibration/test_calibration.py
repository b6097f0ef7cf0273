"""Calibration: fits by hand, planted constants found again, the gates on the shipped rows, and bad files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deltastack.errors import MeasurementError
from deltastack.fleet import accelerator, calibration, settings
from deltastack.fleet.accounting.utilization import Load
from deltastack.fleet.calibration import Host, House, Row, host, watts
from deltastack.fleet.calibration.host import Run

ROOT = Path(__file__).parents[3]
NONE = Load(decode_attention=0.0, compute=0.0)


@pytest.fixture(scope="module")
def house() -> House:
    """The checkout's own memory, batching and accelerators."""
    names = accelerator.platforms(ROOT)
    return House(values=settings.load(ROOT).values, platforms={name: accelerator.load(ROOT, name) for name in names})


def row(line: int = 2, **changes: object) -> Row:
    """A row of Qwen3-8B with eight requests in flight."""
    plain: dict[str, object] = {
        "line": line,
        "model": "Qwen/Qwen3-8B",
        "platform": "h100_sxm",
        "precision": "bf16",
        "tensor_parallel": 1,
        "accelerators": 1,
        "concurrency": 8,
        "output_tokens_per_s": 100.0,
        "power_w": None,
        "prompt_tokens": 300,
        "image_tokens": 0,
        "mean_output_tokens": 200.0,
    }
    return Row(**(plain | changes))  # type: ignore[arg-type]


def mean(errors: tuple[calibration.Errors, ...], name: str) -> float:
    """Mean absolute error of one quantity."""
    return sum(abs(getattr(e, name)) for e in errors) / len(errors)


def test_host_by_hand() -> None:
    """10 ms a token, 8 without the host, in 1 step and 1 sequence; 5.5 and 4 in 1/2 step and 1 sequence: 1 ms and 1 ms."""
    rows = [row(output_tokens_per_s=100.0), row(output_tokens_per_s=1 / 5.5e-3)]
    runs = [Run(1 / 8e-3, 1.0, 1.0, NONE), Run(1 / 4e-3, 0.5, 1.0, NONE)]

    found = host.solve(rows, runs, Host(0.0, 0.0))
    assert tuple(found) == pytest.approx((1e-3, 1e-3, 0.0))


def test_the_host_of_the_last_round_is_taken_out() -> None:
    """Runs that already contain the right constants give them back."""
    rows = [row(output_tokens_per_s=100.0), row(output_tokens_per_s=1 / 5.5e-3)]
    runs = [Run(100.0, 1.0, 1.0, NONE), Run(1 / 5.5e-3, 0.5, 1.0, NONE)]

    assert tuple(host.solve(rows, runs, Host(1e-3, 1e-3, 5e-6))) == pytest.approx((1e-3, 1e-3, 5e-6))


def test_images_by_hand() -> None:
    """12 ms a token with 100 visual tokens each, of which 8 ms are the accelerator's, and 9 ms without: 1 ms, 30 us."""
    rows = [row(output_tokens_per_s=1 / 12e-3), row(output_tokens_per_s=1 / 9e-3)]
    runs = [Run(1 / 8e-3, 1.0, 0.0, NONE, visual_tokens=100.0), Run(1 / 8e-3, 1.0, 0.0, NONE)]

    assert tuple(host.solve(rows, runs, Host(0.0, 0.0))) == pytest.approx((1e-3, 0.0, 30e-6))


def test_an_accelerator_that_waits_draws_less(house: House) -> None:
    """350 W busy and a tenth of the time at 100 W: 325 W; the fit takes the wait out again."""
    busy = calibration.Busy(0.5, 0.0, 0.0)
    run = Run(1.0, 1.0, 1.0, NONE, waiting=0.1, waiting_w=100.0)
    assert watts.power_w(run, busy, board_w=700.0) == pytest.approx(325.0)
    found = watts.fit([row(power_w=325.0)] * 3, [run] * 3, house.platforms)
    assert found is not None
    assert found.base == pytest.approx(0.5)


def test_power_by_hand(house: House) -> None:
    """700 W board: 350 W with no load, 420 W at 0.2 in decode attention, 490 W at 0.4 compute: 0.5, 0.5 and 0.5 of the limit."""
    loads = [NONE, Load(decode_attention=0.2, compute=0.0), Load(decode_attention=0.0, compute=0.4)]
    rows = [row(power_w=watt, accelerators=2) for watt in (700.0, 840.0, 980.0)]
    busy = watts.fit(rows, [Run(1.0, 1.0, 1.0, load) for load in loads], house.platforms)

    assert busy is not None
    assert tuple(busy) == pytest.approx((0.5, 0.5, 0.5))
    assert busy.busy_w(Load(decode_attention=0.2, compute=0.4), board_w=700.0) == pytest.approx(560.0)
    assert busy.busy_w(Load(decode_attention=1.0, compute=1.0), board_w=700.0) == 700.0


def test_power_that_was_not_read_is_not_fitted(house: House) -> None:
    """Two readings for three numbers: none is made up, and the errors are None."""
    rows = [row(power_w=400.0), row(power_w=410.0), row()]

    assert watts.fit(rows, [Run(1.0, 1.0, 1.0, NONE)] * 3, house.platforms) is None


def test_planted_constants_are_found_again(house: House) -> None:
    """Rows made by the simulator with 1.5 ms and 60 us: found within 2 %, and no row left out is off by more than 2 %."""
    planted = Host(1.5e-3, 60e-6)
    shapes = [(m, c) for m in ("Qwen/Qwen3-8B", "Qwen/Qwen3-14B", "meta-llama/Llama-3.1-8B-Instruct") for c in (4, 24, 96)]
    shape = {0.1: 30.0, 0.5: 150.0, 0.9: 400.0}
    rows = [row(i, model=m, concurrency=c, quantiles=shape) for i, (m, c) in enumerate(shapes)]
    made = host.simulate_rows(rows, planted, house)
    busy = calibration.Busy(0.55, 0.4, 0.7)
    rows = [
        replace(r, output_tokens_per_s=run.tokens_per_s, power_w=busy.busy_w(run.load, board_w=700.0))
        for r, run in zip(rows, made, strict=True)
    ]

    found = calibration.calibrate(rows, house)
    assert tuple(found.host)[:2] == pytest.approx(tuple(planted)[:2], rel=0.02)
    assert found.host.visual_token_s == house.values.deployment.host_visual_token_s
    assert tuple(found.busy or ()) == pytest.approx(tuple(busy), rel=0.02)
    assert found.group == "model"
    assert max(abs(e.tokens_per_s) for e in found.left_out) < 0.02
    assert max(abs(e.energy_per_token or 1.0) for e in found.left_out) < 0.02


def test_the_gates_on_the_shipped_rows(house: House) -> None:
    """Each text model left out once: throughput within 8 %, energy a token within 10 % (mean absolute, 73 steady rows)."""
    shipped = calibration.read(calibration.SHIPPED, prompt_tokens=calibration.PROMPT_TOKENS, output_tokens=500.0)
    found = calibration.calibrate(shipped.rows, house)

    assert (len(found.rows), len(found.unsteady), found.group) == (73, 4, "model")
    assert mean(found.left_out, "tokens_per_s") <= 0.08
    assert mean(found.left_out, "energy_per_token") <= 0.10
    deployed, power = house.values.deployment, house.values.power
    shares = (power.busy_base, power.busy_decode_attention, power.busy_compute)
    assert shares == pytest.approx(tuple(found.busy or ()), rel=0.01)
    assert (deployed.host_step_s, deployed.host_sequence_s) == pytest.approx(tuple(found.host)[:2], rel=0.01)


def test_planted_work_for_images_is_found_again(house: House) -> None:
    """Rows of two models and three image sizes made with 12 us a visual token: found and predicted within 2 %."""
    planted = Host(0.8e-3, 40e-6, 12e-6)
    shapes = [(m, c) for m in ("Qwen/Qwen3-VL-8B-Instruct", "Qwen/Qwen3-VL-4B-Instruct") for c in (4, 32, 96)]
    rows = [row(i, model=m, concurrency=c, image_tokens=(0, 400, 1200)[i % 3]) for i, (m, c) in enumerate(shapes)]
    made = host.simulate_rows(rows, planted, house)
    rows = [replace(r, output_tokens_per_s=run.tokens_per_s) for r, run in zip(rows, made, strict=True)]

    found = calibration.calibrate(rows, house)
    assert found.host.visual_token_s == pytest.approx(planted.visual_token_s, rel=0.02)
    assert max(abs(e.tokens_per_s) for e in found.left_out) < 0.02


def test_one_image_size_says_nothing_of_visual_tokens() -> None:
    """Two rows with 4.5 visual tokens a sequence step each: the constant stays at 10 us, the step gets the rest."""
    rows = [row(output_tokens_per_s=1 / 9e-3), row(output_tokens_per_s=1 / 5e-3)]
    runs = [Run(1 / 8e-3, 1.0, 1.0, NONE, visual_tokens=4.5), Run(1 / 4e-3, 1.0, 1.0, NONE, visual_tokens=4.5)]

    assert host.solve(rows, runs, Host(0.0, 0.0, 1e-5)).visual_token_s == 1e-5


def test_one_model_leaves_rows_out_and_says_so(house: House) -> None:
    """Three rows of one model: each row is left out, and power stays unknown."""
    found = calibration.calibrate([row(i, concurrency=c, output_tokens_per_s=60.0 * c) for i, c in enumerate((2, 4, 8))], house)

    assert (found.group, found.busy, len(found.folds)) == ("row", None, 3)
    assert all(e.power is None and e.energy_per_token is None for e in found.left_out)


def test_rows_that_are_not_steady_do_not_count(house: House) -> None:
    """Below 0.9 of the concurrency a row is left out; too few are refused."""
    rows = [row(avg_batch_size=7.1), row(avg_batch_size=7.2), row()]

    assert [r.steady for r in rows] == [False, True, True]
    with pytest.raises(MeasurementError, match=r"wanted 3 or more steady rows .*, found 2 of 3"):
        calibration.calibrate(rows, house)


def read(folder: Path, text: str) -> calibration.Found:
    """The rows of a file with this text."""
    path = folder / "mine.csv"
    path.write_text(text)
    return calibration.read(path, prompt_tokens=300, output_tokens=500.0)


def test_a_users_own_file(tmp_path: Path) -> None:
    """Other names of columns, comments and empty cells; what is not said is the stated default; the rest is named."""
    text = "# mine\nmodel,gpu,concurrency,throughput,power,output_tokens_p50,colour\n\nQwen/Qwen3-8B,H100,16,1700.5,,120,red\n"
    found = read(tmp_path, text)

    assert found.ignored == ("colour",)
    assert found.rows == (row(4, concurrency=16, output_tokens_per_s=1700.5, mean_output_tokens=500.0, quantiles={0.5: 120.0}),)


HEADER = "model,concurrency,throughput,power_w,tp\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mine.csv: no rows; wanted a CSV file with the columns model, concurrency, output_tokens_per_s"),
        ("model,concurrency\nx,1\n", "no column output_tokens_per_s; it has: model, concurrency"),
        ("model,concurrency,throughput,output_tokens_per_s\nx,1,2,3\n", "output_tokens_per_s stands twice"),
        (HEADER + "Qwen/Qwen3-8B,8,fast,,\n", "line 2: output_tokens_per_s: wanted a number, found 'fast'"),
        (HEADER + "Qwen/Qwen3-8B,8,-5,,\n", "line 2: output_tokens_per_s: wanted a number above 0, found '-5'"),
        (HEADER + "Qwen/Qwen3-8B,8.5,5,,\n", "line 2: concurrency: wanted a whole number above 0, found '8.5'"),
        (HEADER + "Qwen/Qwen3-8B,8,nan,,\n", "found 'nan'"),
        (HEADER + "Qwen/Qwen3-8B,8,900\n", "line 2: 3 cells for 5 columns"),
        (HEADER + "Qwen/Qwen3-8B,,900,,\n", "line 2: no concurrency"),
        (HEADER + "acme/llm,8,900,,\n", "line 2: no operator times for model 'acme/llm'; there are: Qwen/Qwen3-14B, "),
        (HEADER + "Qwen/Qwen3-8B,8,900,,2\n", "on h100_sxm bf16 x 2; it has: h100_sxm bf16 x 1"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """One line that says where, what was wanted, what was found and what there is."""
    with pytest.raises(MeasurementError) as refused:
        read(tmp_path, text)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_every_bad_row_is_counted(tmp_path: Path) -> None:
    """Ten bad rows: eight are named, the rest counted."""
    with pytest.raises(MeasurementError, match=r"10 bad rows: line 2: .*line 9: .*; and 2 more"):
        read(tmp_path, HEADER + "Qwen/Qwen3-8B,0,1,,\n" * 10)
