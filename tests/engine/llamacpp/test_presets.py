"""The declared presets speak of settings, values and files that the pinned engine and the model folder really have."""

from __future__ import annotations

from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from deltastack import params
from deltastack.engine.llamacpp import models, settings
from deltastack.engine.llamacpp.weights import Precision

ROOT = Path(__file__).parents[3]
PRESETS = ("llamacpp", "llamacpp_images")
FILES = {f(p) for f in (models.text_name, models.image_name) for p in models.PRECISIONS} | {models.TOWER, models.QUESTIONS}


def states(preset: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The base and each technique's ``on`` and ``off`` settings, by name."""
    found = {"base": {}}
    for name, technique in preset["techniques"].items():
        found |= {f"{name} {way}": technique.get(f"{way}_settings", {}) for way in ("on", "off")}
    return found


@pytest.mark.parametrize("name", PRESETS)
def test_every_setting_of_every_technique_is_taken_by_the_engine(name: str) -> None:
    """Name and value, in the engine's own parameters; read back in the same words."""
    engine = pytest.importorskip("xllamacpp")
    preset = params.read_yaml(ROOT / "params" / "engines" / f"{name}.yaml")
    words = [w for a, w in pairwise(preset["start"]["command"]) if a == "--set"]
    assert len(words) > 10
    for state in states(preset).values():
        values = preset["values"] | state.get("values", {}) | preset["files"] | state.get("files", {})
        flags = [w for a, w in pairwise(state.get("flags", [])) if a == "--set"]
        target = engine.CommonParams()
        for key, value in settings.split(w.format(**values) for w in (*words, *flags)).items():
            settings.put(target, key, value)
            assert settings.words(target, key) == value


@pytest.mark.parametrize("name", PRESETS)
def test_every_file_is_one_that_prepare_writes(name: str) -> None:
    """In the folder that the presets name."""
    preset = params.read_yaml(ROOT / "params" / "engines" / f"{name}.yaml")
    files = {f for state in states(preset).values() for f in state.get("files", {}).values()} | set(preset["files"].values())
    files |= {preset[k]["file"] for k in ("load", "questions") if "file" in preset.get(k, {})}
    assert {Path(f).name for f in files} <= FILES
    assert {str(Path(f).parent) for f in files} == {".run/models"}
    assert Precision.Q4_0 in models.PRECISIONS


@pytest.mark.parametrize("name", PRESETS)
def test_the_version_is_the_installed_one(name: str) -> None:
    """Settings were read in it."""
    assert params.read_yaml(ROOT / "params" / "engines" / f"{name}.yaml")["version"] == metadata.version("xllamacpp")
