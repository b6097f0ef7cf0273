"""Every shipped declaration is read, maps the seed layers or says why not, and resolves every cell."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deltastack import params
from deltastack.engine import cells, declaration
from tests.fakes import FIVE

FOLDER = Path(__file__).parents[2] / "params" / "engines"
NAMES = sorted(p.stem for p in FOLDER.glob("*.yaml"))


def test_the_presets_are_there() -> None:
    """What the documents name."""
    assert {"endpoint", "sglang", "vllm"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_resolves(name: str) -> None:
    """Names agree with files; every cell has a command that leaves no name open, or an address."""
    engine = declaration.load(FOLDER / f"{name}.yaml")

    assert engine.name == name
    for cell in cells.names(engine):
        if cells.left_out(engine, cell) is not None:
            continue
        resolved = cells.resolve(engine, cell, Path("root"))
        if engine.start is None:
            assert cell in engine.addresses
        else:
            command = cells.command(engine, engine.start, resolved, Path("root"), 8123)
            assert not any("{port}" in w or "{model}" in w or "{draft}" in w for w in command.arguments)
            assert command.address.endswith(":8123")


@pytest.mark.parametrize("name", [n for n in NAMES if n != "endpoint"])
def test_every_seed_layer_is_mapped_or_its_absence_explained(name: str) -> None:
    """A layer has a technique, or a reason with its source; each technique differs, and is read back or asked for by requests."""
    engine = declaration.load(FOLDER / f"{name}.yaml")

    assert set(FIVE) <= set(engine.declared_layers) | set(engine.absent)
    assert {"speculative", "batching"} <= set(engine.declared_layers) | set(engine.absent)
    for technique, one in engine.techniques.items():
        read_back = bool(one.on_settings.expect) or one.on_settings.concurrency is not None or bool(one.on_settings.request)
        assert read_back, f"{name}: nobody would see whether {technique} took"


@pytest.mark.parametrize("name", ["vllm", "sglang"])
def test_the_stack_of_a_gpu_preset_is_small_and_without_conflict(name: str) -> None:
    """Sixteen cells, none of them left out; a conflict with what is off is there as data."""
    engine = declaration.load(FOLDER / f"{name}.yaml")

    every = cells.names(engine)
    assert engine.layers == ("storage", "instruction_set", "speculative", "batching")
    assert len(every) == 16
    assert not any(cells.left_out(engine, c) for c in every)
    assert any("ngram" in c.between for c in engine.conflicts)


def test_the_ten_lines_of_the_documents_are_a_declaration() -> None:
    """The example that people copy is read, has ten lines, and is the file whose run the transcript shows."""
    docs = FOLDER.parents[1] / "docs"
    text = (docs / "engine.md").read_text()
    example = text.split("## My vLLM server in ten lines", 1)[1].split("```yaml\n", 1)[1].split("```", 1)[0]

    engine = params.parse(yaml.safe_load(example), declaration.Engine, "docs/engine.md")

    assert example == (docs / "examples" / "vllm_server.yaml").read_text()
    assert len(example.strip().splitlines()) == 10
    assert cells.names(engine) == ("base", "storage", "batching", "batching+storage")
    assert f"server starts of {engine.name} on" in text
    for cell in cells.names(engine)[1:]:
        assert f"\n  {cell} " in text
