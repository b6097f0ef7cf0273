"""Layers are found by import and by entry point; no list names them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deltastack import layers
from deltastack.errors import LayerError

HERE = Path(layers.__file__).parent
CODE = """
from deltastack.layers.technique import Layer

CACHING = Layer(name="{name}", techniques=())
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages, empty; what is imported from it is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "example_caching", raising=False)
    return tmp_path


def install(site: Path, name: str, target: str = "CACHING") -> None:
    """A package that adds layer ``name`` by entry point, as an installer leaves it."""
    (site / "example_caching.py").write_text(CODE.format(name=name), encoding="utf-8")
    metadata = site / "example_caching-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: example-caching\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(f"[deltastack.layers]\ncaching = example_caching:{target}\n", encoding="utf-8")


def test_every_file_of_parameters_has_its_layer() -> None:
    """The layers of this folder are those with a file in params/layers."""
    files = {p.stem for p in (HERE.parents[1] / "params" / "layers").glob("*.yaml")}

    assert {name for name, one in layers.discover().items() if one.values is None} == files


def test_an_installed_package_adds_a_layer(site: Path) -> None:
    """The entry point alone is enough: no file of this project changes."""
    install(site, "caching")

    assert set(layers.discover()) == {*layers.LAYERS, "caching"}


def test_two_layers_of_one_name_are_refused(site: Path) -> None:
    """The message names both places."""
    install(site, "idle")

    with pytest.raises(LayerError, match=r"named 'idle': in deltastack\.layers\.idle and in example_caching:CACHING"):
        layers.discover()


def test_an_entry_point_that_is_no_layer_is_refused(site: Path) -> None:
    """The message names the entry point and what it holds."""
    install(site, "caching", target="Layer")

    with pytest.raises(LayerError, match=r"caching = example_caching:Layer is a type; wanted a Layer"):
        layers.discover()
