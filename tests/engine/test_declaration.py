"""What a declaration may say, and how cells are resolved from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltastack import params
from deltastack.engine import cells, tables
from deltastack.engine.consistency import filled
from deltastack.engine.declaration import Engine
from deltastack.errors import ParamsError, UnknownNameError
from tests.engine.fakes import declared, engine

ROOT = Path("/checkout")


def changed(**parts: Any) -> Engine:
    """The fake engine with two switches and ``parts`` of the first one's settings changed."""
    whole = declared("cache", "quant")
    whole["techniques"]["cache"] |= parts
    return params.parse(whole, Engine, "fake.yaml")


@pytest.mark.parametrize(
    ("part", "value", "words"),
    [
        ("start", None, "found both or neither"),
        ("addresses", {"base": "http://x"}, "found both or neither"),
        ("files", {}, r"no value or file for \{server\}; there are: cell, port, python, root"),
        ("values", {"server": "x"}, "both in values and files: server"),
        ("sources", {}, "no source called metrics, props; there are: requests"),
        ("conflicts", [{"between": ["x"], "kind": "refused", "why": "w", "source": "s"}], "not declared: x"),
        ("conflicts", [{"between": ["cache"], "kind": "broken", "why": "w", "source": "s"}], "'refused', 'silently_off'"),
        ("absent", {"storage": {"reason": "r", "source": "s"}}, "absent and present at once: storage"),
        ("load", {"generator": "vllm"}, "needs generator_command and model"),
        ("mechanisms", {"split": {"values": {"draft": "x"}}}, "mechanism split sets draft, which values and files do not have"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(part: str, value: Any, words: str) -> None:
    """The message says what was found and what there is."""
    with pytest.raises(ParamsError, match=words):
        engine("cache", **{part: value})


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"mechanisms": ["split"]}, "techniques use mechanisms that are not declared: split"),
        ({"on_settings": {}, "off_settings": {}}, "cache: on_settings and off_settings are the same"),
        ({"on_settings": {"values": {"draft": "x"}}}, "cache sets draft, which values and files do not have"),
        ({"on_settings": {"sleep": [{"path": "/sleep"}]}}, "experiment.gap_s is 0"),
        ({"on_settings": {"expect": [{"source": "log", "equals": "a", "absent": "b"}]}}, "wanted one of equals, matches, absent"),
        ({"on_settings": {"expect": [{"source": "log", "matches": "("}]}}, "is no regular expression"),
    ],
)
def test_a_switch_that_switches_nothing_is_refused(parts: dict[str, Any], words: str) -> None:
    """A technique has a layer, two states that differ, and names that exist."""
    with pytest.raises(ParamsError, match=words):
        changed(**parts)


def test_the_endpoints_base_is_needed() -> None:
    """Servers that run already have one address a cell, the base among them."""
    with pytest.raises(ParamsError, match="no 'base' among the cells"):
        engine("cache", start=None, addresses={"storage": "http://127.0.0.1:1"})


def test_cells_are_all_sets_of_layers_and_techniques_that_are_no_layer() -> None:
    """Two switches of one layer: the layer is both, each stands alone too; a single switch is its layer."""
    whole = declared("cache", "quant", "batch")
    whole["techniques"]["batch"]["layer"] = "storage"
    one = params.parse(whole, Engine, "fake.yaml")

    every = ("base", "storage", "instruction_set", "instruction_set+storage", "storage/cache", "storage/batch")
    assert cells.names(one) == every
    assert cells.techniques_of(one, "storage") == ("cache", "batch")
    assert cells.techniques_of(one, "storage/batch") == ("batch",)
    with pytest.raises(UnknownNameError, match=r"no technique 'storage/quant'; it has: storage/cache"):
        cells.techniques_of(one, "storage/quant")
    with pytest.raises(UnknownNameError, match="no layer 'idle'; it has: storage, instruction_set"):
        cells.techniques_of(one, "idle")


def test_a_technique_that_is_off_is_measured_alone_and_in_no_layer() -> None:
    """It is a disabled technique: it has its own cell, its layer does not have it."""
    one = changed(on=False)

    assert one.layers == ("instruction_set",)
    assert one.declared_layers == ("storage", "instruction_set")
    assert cells.names(one) == ("base", "instruction_set", "storage/cache")


def test_a_cell_has_the_on_settings_of_its_techniques_and_the_off_settings_of_all_others() -> None:
    """Flags of every technique in its state, merged with the base's; what must resolve is asked for in both states."""
    settings = {
        "on_settings": {"flags": ["--cache", "{model}"], "environment": {"A": "on"}, "request": {"c": True}, "concurrency": 4},
        "off_settings": {"flags": ["--no-cache"], "environment": {"A": "off", "B": "x"}, "files": {"model": "b.bin"}},
    }
    whole = declared("cache", "quant", files={"server": "/s.py", "model": "a.bin"})
    whole["techniques"]["cache"] |= settings | {"evidence": []}
    one = params.parse(whole, Engine, "fake.yaml")

    base, on = (cells.resolve(one, c, ROOT) for c in ("base", "storage"))

    assert (base.flags, on.flags) == (("--no-cache", "quant=0"), ("--cache", "{model}", "quant=0"))
    assert (base.environment, on.environment) == ({"A": "off", "B": "x"}, {"A": "on"})
    assert (base.concurrency, on.concurrency) == (1, 4)
    assert (dict(base.request), dict(on.request)) == ({}, {"c": True})
    assert (base.words["model"], on.words["model"]) == ("/checkout/b.bin", "/checkout/a.bin")
    assert [t for t, _ in base.expect] == ["quant"]


def test_two_techniques_that_set_one_thing_differently_cannot_be_on_together() -> None:
    """Both models at once is no cell; that one is on and the other off is."""
    whole = declared("cache", "quant", values={"model": "base"})
    for name in ("cache", "quant"):
        whole["techniques"][name]["on_settings"]["values"] = {"model": name}
    one = params.parse(whole, Engine, "fake.yaml")

    assert cells.resolve(one, "storage", ROOT).words["model"] == "cache"
    with pytest.raises(ParamsError, match="cache sets model to 'cache' and quant to 'quant'; declare them as a conflict"):
        cells.resolve(one, "instruction_set+storage", ROOT)


def test_a_command_goes_through_ssh_or_docker_as_the_user_writes_it() -> None:
    """Flags and variables stand where the template says; ssh's far shell needs them quoted once, and none is set here."""
    start = {"command": ["ssh", "gpu", "env", "{environment}", "serve", "{flags}", "--port", "{port}"], "quoted": True}
    whole = declared("cache", start=start | {"environment": {"X": "a b"}}, address="http://gpu:{port}")
    whole["techniques"]["cache"]["on_settings"]["flags"] = ["--config", '{"a": 1}']
    one = params.parse(whole, Engine, "fake.yaml")
    assert one.start is not None

    found = cells.command(one, one.start, cells.resolve(one, "storage", ROOT), ROOT, 80)

    wanted = ("ssh", "gpu", "env", "'X=a b'", "serve", "--config", "'{\"a\": 1}'", "--port", "80")
    assert found.arguments == wanted
    assert (found.environment, found.address) == ({}, "http://gpu:80")
    docker = one.start.model_copy(update={"quoted": False, "environment_words": ("-e", "{name}={value}")})
    assert cells.command(one, docker, cells.resolve(one, "storage", ROOT), ROOT, 80).arguments[3:5] == ("-e", "X=a b")


@given(st.text(alphabet='{}"ab: ', max_size=20))
def test_braces_that_are_no_names_stay(text: str) -> None:
    """Filling in is the identity where no name is known, and replaces known names alone."""
    assert filled(text, {}) == text
    assert filled(text + "{port}", {"port": "1"}) == text + "1" or "{port}" not in (text + "{port}")


def test_the_largest_whole_factorial_is_kept() -> None:
    """By hand: of three layers with the cell of all three missing, the first pair that is whole; without singles nothing."""
    pairs = ["base", "a", "b", "c", "a+b", "a+c", "b+c"]

    assert tables.full_layers(("a", "b", "c"), [*pairs, "a+b+c"]) == ("a", "b", "c")
    assert tables.full_layers(("a", "b", "c"), pairs) == ("a", "b")
    assert tables.full_layers(("a", "b", "c"), ["base", "b", "c", "b+c"]) == ("b", "c")
    assert tables.full_layers(("a",), ["a"]) == ()


SPLIT = {"split": {"flags": ["batch=1"], "request": {"n": 2}}}


def sharing(*names: str) -> Engine:
    """The fake engine with three switches, of which ``names`` use the mechanism ``split``."""
    whole = declared("cache", "quant", "batch", mechanisms=SPLIT)
    for name in names:
        whole["techniques"][name]["mechanisms"] = ["split"]
    return params.parse(whole, Engine, "fake.yaml")


def test_a_mechanism_that_layers_share_is_a_cell_of_its_own() -> None:
    """Two layers that use it: it runs alone, every technique off; of one layer, or of layers that are not asked, it does not."""
    both, one = sharing("cache", "quant"), sharing("cache")

    assert both.sharing() == {"split": ("storage", "instruction_set")}
    assert cells.names(both)[8:] == ("mechanism/split",)
    assert "mechanism/split" not in cells.names(both, among=("storage", "batching"))
    assert one.sharing() == {"split": ("storage",)}
    assert "mechanism/split" not in cells.names(one)
    alone = cells.resolve(both, "mechanism/split", ROOT)
    assert alone.techniques == ()
    assert alone.flags == ("cache=0", "quant=0", "batch=0", "batch=1")
    assert alone.request == {"n": 2}
    with pytest.raises(UnknownNameError, match="no mechanism 'cut'; it has: split"):
        cells.resolve(both, "mechanism/cut", ROOT)
