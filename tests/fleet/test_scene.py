"""Scenes: what a file changes of params/, and what is refused in one line that names what there is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deltastack import layers, params
from deltastack.errors import DeltastackError, ParamsError, UnknownNameError
from deltastack.evaluation.fleet_runner import FleetRunner
from deltastack.fleet import scene, settings
from deltastack.fleet.trace_arrays import requests
from deltastack.layers.techniques import chosen
from deltastack.workload import settings as workloads
from deltastack.workload.sources import DAY_H, Mixture, Night, thinned

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
EVERY = tuple(layers.LAYERS)


def checkout(folder: Path, content: Mapping[str, object]) -> Path:
    """A checkout with one scene, ``mine``, that changes the shipped parameters."""
    shutil.copytree(ROOT / "params", folder / "params")
    text = {"title": "mine", "why": "a test"} | dict(content)
    (folder / scene.FOLDER / "mine.yaml").write_text(yaml.safe_dump(text))
    return folder


def opened(root: Path) -> None:
    """Read the scene ``mine`` with all it changes, and check that it can be served."""
    place = scene.load(root, "mine", EVERY)
    for layer in layers.LAYERS.values():
        chosen(root, layer, scene=place)
    known = requests(place.workload.frame(root, workloads.load(root)))
    FleetRunner(root=root, requests=known, draws=1, canonical=True, scene=place).check()


@pytest.mark.parametrize("name", scene.scenes(ROOT))
def test_every_shipped_scene_holds(name: str) -> None:
    """Its keys are those of params/, its techniques are there, its workload can be made, and it has tables."""
    found = scene.load(ROOT, name, EVERY)
    known = settings.load(ROOT, scene=found)
    assert known.values.deployment.replicas >= 1
    for layer in layers.LAYERS.values():
        assert chosen(ROOT, layer, scene=found)
    assert len(found.workload.frame(ROOT, workloads.load(ROOT))) > 1000


def test_a_scene_replaces_values_and_leaves_the_rest(tmp_path: Path) -> None:
    """Replicas, a technique's switch, reason and one of its values change; the router, the reload time and testbed stay."""
    change = {"on": False, "why": "because", "params": {"dedicated": 3}}
    root = checkout(tmp_path, {"fleet": {"deployment": {"replicas": 5}}, "layers": {"idle": {"encoder_sleep": change}}})
    found = scene.load(root, "mine", EVERY)
    before, after = (settings.load(root, scene=s).values.deployment for s in (None, found))
    assert (after.replicas, after.router, after.model) == (5, before.router, before.model)
    was, now = (next(t for t in chosen(root, layers.layer("idle"), scene=s) if t.name == "encoder_sleep") for s in (None, found))
    assert (was.on, now.on) == (True, False)
    assert now.params.model_dump() == was.params.model_dump() | {"dedicated": 3}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"flet": {}}, "no key 'flet'; there are: name, title, why, fleet, workload, layers"),
        ({"workload": {"kind": "workload", "sped": 8}}, "no key 'workload.sped'; there are: kind, speed"),
        ({"fleet": {"deployment": {"modle": "x"}}}, "no key 'fleet.deployment.modle'; there are: model, platform"),
        ({"fleet": {"gaols": {}}}, "no key 'fleet.gaols'; there are: deployment"),
        ({"layers": {"storge": {}}}, "no layer 'storge'; there are: chiplet, distillation"),
        ({"layers": {"idle": {"naps": {"on": True}}}}, "no technique 'idle.naps'; there are: encoder_sleep"),
        (
            {"layers": {"idle": {"encoder_sleep": {"params": {"wake": 1}}}}},
            "no key 'wake' in idle.encoder_sleep; there are: policy",
        ),
        ({"workload": {"kind": "tarce"}}, "expected tags: 'workload', 'mix'"),
        ({"workload": {"kind": "trace", "path": "../x.csv"}}, "wanted a file below the checkout"),
        (
            {"fleet": {"deployment": {"model": "Qwen/Qwen9"}}},
            "no operator times for model 'Qwen/Qwen9'; there are: Qwen/Qwen3-14B",
        ),
        ({"fleet": {"deployment": {"platform": "h900"}}}, "no platform 'h900' in params/platforms; there are: a100_sxm"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_what_there_is(tmp_path: Path, content: dict[str, object], words: str) -> None:
    """Every part of a scene, misspelt."""
    root = checkout(tmp_path, content)
    with pytest.raises(DeltastackError) as caught:
        opened(root)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_scene_names_those_that_there_are(tmp_path: Path) -> None:
    """And a scene may not be called as a bench is: their factorials would be one stage."""
    root = checkout(tmp_path, {})
    with pytest.raises(UnknownNameError, match=r"no scene 'nope' in params/scenes; there are: assistant, .*mine"):
        scene.load(root, "nope")
    (root / scene.FOLDER / "testbed.yaml").write_text("title: a\nwhy: b\n")
    with pytest.raises(ParamsError, match="a bench is called 'testbed'"):
        scene.load(root, "testbed")


def test_goals_that_nothing_meets_are_refused(tmp_path: Path) -> None:
    """No slack at all is met at no rate; the line says the scene, the model and the goals."""
    root = checkout(tmp_path, {"fleet": {"goals": {"slack_s": 0.0, "slack_token_s": 0.0, "share": 0.999}}, "workload": SMALL})
    place = scene.load(root, "mine")
    known = requests(place.workload.frame(root, workloads.load(root)))
    with pytest.raises(ParamsError, match=r"params/scenes/mine.yaml: Qwen/Qwen3-VL-8B-Instruct on h100_sxm meets its goals"):
        FleetRunner(root=root, requests=known, draws=1, canonical=True, scene=place).check()


SMALL = {"kind": "mix", "variant": "default", "requests": 500}


def test_a_night_by_hand() -> None:
    """1,000 requests over a day; 6 to 12 o'clock keeps one in ten, so of n there floor(n / 10) stay, and all others."""
    mix = Mixture(kind="mix", variant="default", requests=1000, night=None)
    day = mix.frame(ROOT, workloads.load(ROOT))
    hour = day["arrival_s"] / 3600
    dark = (hour >= 6) & (hour < 12)
    found = thinned(day, Night(start_h=6, hours=6, share=0.1))
    kept = (found["arrival_s"] / 3600).between(6, 12, inclusive="left")
    assert (len(found) - kept.sum(), kept.sum()) == ((~dark).sum(), dark.sum() // 10)


@given(start_h=st.floats(0, 23.9), hours=st.floats(0.1, 23.9), share=st.floats(0.01, 1))
def test_a_night_only_takes_away(start_h: float, hours: float, share: float) -> None:
    """What is left comes at times of the day before; a share of 1 takes nothing."""
    day = Mixture(kind="mix", variant="default", requests=200).frame(ROOT, workloads.load(ROOT))
    found = thinned(day, Night(start_h=start_h, hours=hours, share=share))
    assert set(found["arrival_s"]) <= set(day["arrival_s"])
    assert len(thinned(day, Night(start_h=start_h, hours=hours, share=1.0))) == len(day)


def test_a_day_pressed_into_fewer_hours_keeps_its_requests() -> None:
    """A day in 6 hours: the same requests in the same order, the last before 6 o'clock; made twice it is the same."""
    whole, short = (
        Mixture(kind="mix", variant="default", requests=400, hours=h).frame(ROOT, workloads.load(ROOT)) for h in (DAY_H, 6)
    )
    assert np.allclose(whole["arrival_s"] / 4, short["arrival_s"])
    assert short.drop(columns="arrival_s").equals(whole.drop(columns="arrival_s"))


def test_overlaid_by_hand() -> None:
    """Mappings are merged; a range is replaced whole, by a number or by another range; what is not named stays."""
    tree = {"a": {"b": {"value": 1, "low": 0, "high": 2}, "c": [1, 2]}, "d": 4}
    assert params.overlaid(tree, {"a": {"b": 3}}, "x") == {"a": {"b": 3, "c": [1, 2]}, "d": 4}
    with pytest.raises(ParamsError, match=r"x: no key 'a\.e'; there are: b, c"):
        params.overlaid(tree, {"a": {"e": 1}}, "x")
