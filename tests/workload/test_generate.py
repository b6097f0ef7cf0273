"""The generator reproduces the production mix: quantiles, shares, day shape, bursts, tiles; same seed, same bytes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from deltastack import params
from deltastack.contracts import WORKLOAD
from deltastack.errors import ParamsError, UnknownNameError, WorkloadError
from deltastack.workload import describe, settings
from deltastack.workload.generate import generate, quantile_values

ROOT = Path(__file__).parents[2]
CHOSEN = settings.load(ROOT)
MIX, RULE = CHOSEN.mix, CHOSEN.images
WEEK_S = 7 * 86400.0


@pytest.fixture(scope="module")
def week() -> dict[str, np.ndarray]:
    """A week of 200,000 requests."""
    frame = generate(MIX, RULE, requests=200_000, duration_s=WEEK_S, seed=1)
    return {c: frame[c].to_numpy(dtype=float) for c in frame.columns if c != "prefix_tokens"}


@pytest.mark.parametrize("kind", ["image", "text_only"])
@pytest.mark.parametrize("column", ["context_tokens", "generated_tokens"])
def test_quantiles_within_three_percent(week: dict[str, np.ndarray], kind: str, column: str) -> None:
    """Every published quantile of context and generated tokens, for both kinds of requests."""
    here = week["images"] > 0 if kind == "image" else week["images"] == 0
    values = week["prompt_tokens" if column == "context_tokens" else "output_tokens"][here]
    wanted = getattr(MIX, column)

    assert np.quantile(values, wanted.q) == pytest.approx(getattr(wanted, kind), rel=0.03)


def test_shares_and_tiles(week: dict[str, np.ndarray]) -> None:
    """52 % are text only; tile counts are squares with the published cumulative shares, within half a point."""
    images = week["images"]
    tiles = images[images > 0]
    table = MIX.images_per_image_request

    assert (images == 0).mean() == pytest.approx(MIX.text_only_share, abs=1e-5)
    assert (np.sqrt(tiles) % 1 == 0).all()
    for value, share in zip(table.value[:-1], table.cumulative[:-1], strict=True):
        assert (tiles <= value).mean() == pytest.approx(share, abs=0.005)


def test_day_shape(week: dict[str, np.ndarray]) -> None:
    """Text-only requests follow the seven published days within 3 % of their relative rates."""
    text = week["arrival_s"][week["images"] == 0]
    daily = np.bincount((text // 86400).astype(int), minlength=7)[:7]
    wanted = np.array(MIX.text_only_rate_per_min_by_day)

    assert daily / daily.sum() == pytest.approx(wanted / wanted.sum(), rel=0.03)


def test_images_burst_and_texts_do_not() -> None:
    """At the published rate (99 a minute): images swing over more than a factor 30 in a day, texts hourly about 2."""
    frame = generate(MIX, RULE, requests=142_848, duration_s=86400.0, seed=3)
    minute = (frame.arrival_s // 60).astype(int).to_numpy()
    image = frame.images.to_numpy(dtype=float) > 0
    a_minute = np.bincount(minute[image], minlength=1440)[:1440]
    an_hour = np.bincount(minute[~image] // 60, minlength=24)[:24]

    assert 1 <= np.quantile(a_minute, 0.002) <= 12
    assert 200 <= np.quantile(a_minute, 0.998) <= 700
    assert 1.7 <= an_hour.max() / an_hour.min() <= 2.4
    assert describe.describe(frame)["image_dispersion"] > 10


def test_same_seed_same_bytes_other_seed_other_requests(tmp_path: Path) -> None:
    """The Parquet file is a function of the seed."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        WORKLOAD.write(generate(MIX, RULE, requests=3000, duration_s=3600.0, seed=seed), tmp_path / name)

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


@pytest.mark.parametrize("requests", [1, 2, 3, 17])
def test_small_workloads_hold_their_contract(requests: int) -> None:
    """Any number of requests gives exactly that many, in order of time."""
    frame = generate(MIX, RULE, requests=requests, duration_s=60.0, seed=0)

    assert len(frame) == requests
    assert frame.arrival_s.is_monotonic_increasing


def test_variants() -> None:
    """Text only has no image; image heavy has 90 % images and shorter answers; an unknown one is refused."""
    text, images = (
        generate(CHOSEN.variant_mix(v), RULE, requests=5000, duration_s=3600.0, seed=1) for v in ("text_only", "image_heavy")
    )

    assert (text.images == 0).all()
    assert (images.images > 0).mean() == pytest.approx(0.9)
    assert images.output_tokens.mean() < 0.6 * text.output_tokens.mean()
    with pytest.raises(UnknownNameError, match="there are: default, text_only, image_heavy"):
        CHOSEN.variant_mix("night")


def test_quantile_values_by_hand() -> None:
    """Half way between 10 at 0.2 and 1000 at 0.8 in log space is 100; the lowest is half of the first knot."""
    assert quantile_values(np.array([0.2, 0.5, 0.8, 0.0]), (0.2, 0.8), (10, 1000)).tolist() == [10, 100, 1000, 5]


@pytest.mark.parametrize(
    ("requests", "duration_s", "seed", "said"),
    [
        (0, 3600.0, 0, "a workload of 0 requests in 3600 s: wanted 1 to 10,000,000 requests in 60 to"),
        (10**12, 3600.0, 0, "wanted 1 to 10,000,000 requests"),
        (5, 1.0, 0, "5 requests in 1 s"),
        (5, math.nan, 0, "5 requests in nan s"),
        (5, math.inf, 0, "5 requests in inf s"),
        (5, 3600.0, -1, "seed -1: wanted a whole number from 0 up"),
    ],
)
def test_refusals(requests: int, duration_s: float, seed: int, said: str) -> None:
    """No request, more than memory holds, no time, endless time, a negative seed: each with what was wanted."""
    with pytest.raises(WorkloadError, match=said):
        generate(MIX, RULE, requests=requests, duration_s=duration_s, seed=seed)


def test_every_breach_of_the_settings_is_named(tmp_path: Path) -> None:
    """A decreasing quantile, tiles that are no squares and an unknown variant are named in one message."""
    values = params.read_yaml(ROOT / settings.FILE)
    values["generator"]["requests"] = 0
    values["mix"]["context_tokens"]["image"][3] = 1
    values["mix"]["images_per_image_request"]["value"][0] = 2

    with pytest.raises(ParamsError) as error:
        params.parse(values, settings.Settings, "workload.yaml")

    for words in (
        "generator.requests",
        "mix.context_tokens",
        "none below the one before it",
        "mix.images_per_image_request",
        "squares",
    ):
        assert words in str(error.value)
    with pytest.raises(ParamsError, match="no such parameter file"):
        params.read_yaml(tmp_path / "absent.yaml")
