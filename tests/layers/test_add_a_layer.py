"""README "Add a layer", word for word: its blocks in a copy of the checkout, its commands, and the same layer as a package."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
SECTION = (ROOT / "README.md").read_text(encoding="utf-8").split("## Add a layer\n")[1].split("\n## ")[0]
BLOCKS = dict(re.findall(r'^```\w+ title="(.*?)"\n(.*?)^```$', SECTION, re.DOTALL | re.MULTILINE))
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.DOTALL | re.MULTILINE)[0].splitlines()
PACKAGE = ROOT / "examples" / "deltastack-caching"
PASSED_BY_ITSELF = ("its case", "its control", "llava", "qwen3_vl", "smolvlm")
"""The least that is tested of the layer alone."""
PARTS = ("deltastack", "tasks", "flows", "params", "tests", "dvc.yaml", "pyproject.toml", "README.md", "examples")


def contents(root: Path) -> dict[Path, bytes]:
    """Every file of the parts that make a checkout."""
    files = [p for part in PARTS for p in ([root / part] if (root / part).is_file() else (root / part).rglob("*"))]
    return {p.relative_to(root): p.read_bytes() for p in files if p.is_file() and "__pycache__" not in p.parts}


def typed(root: Path, name: str, block: str) -> None:
    """Do with a block what a reader does: a new file, or the one line of an old file that begins alike."""
    path = root / name
    if path.exists():
        key = block.split(":", maxsplit=1)[0]
        old = path.read_text(encoding="utf-8")
        assert re.search(rf"^{key}:", old, re.MULTILINE), f"{name} has no line that begins with {key}:"
        block = re.sub(rf"^{key}:.*\n", block, old, count=1, flags=re.MULTILINE)
    path.write_text(block, encoding="utf-8")


def run(words: list[str], root: Path, **more: str) -> str:
    """Standard output of a command in ``root``."""
    python = [sys.executable, "-m", *{"deltastack": ["deltastack.cli"], "python": []}[words[0]]]
    rest = words[2:] if words[0] == "python" else words[1:]
    done = subprocess.run([*python, *rest], cwd=root, env=os.environ | more, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(words)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout."""
    copy = tmp_path / "checkout"
    copy.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part)  # with what numba has compiled
        else:
            shutil.copy(ROOT / part, copy / part)
    return copy


def environment(tmp_path: Path, *places: Path) -> Mapping[str, str]:
    """Where modules are looked for first, and a lock of its own: a small trial waits for no real measurement."""
    return {"PYTHONPATH": os.pathsep.join(map(str, places)), "TMPDIR": str(tmp_path)}


def test_a_layer_is_as_many_files_as_the_readme_says(checkout: Path, tmp_path: Path) -> None:
    """The blocks change four files; the commands estimate, measure and test the layer, and no other file knows it."""
    before = contents(checkout)
    for name, block in BLOCKS.items():
        typed(checkout, name, block)
    after = contents(checkout)
    changed = {str(p) for p in after if before.get(p) != after[p]}

    assert changed == set(BLOCKS)
    assert SECTION.strip().startswith({4: "Four files make a layer."}[len(changed)])
    assert {i for i in range(1, 9) if re.search(rf"^{i}\. ", SECTION, re.MULTILINE)} == set(range(1, len(changed) + 1))
    estimated, measured, tested = (run(shlex.split(c), checkout, **environment(tmp_path, checkout)) for c in COMMANDS)
    assert "image_cache" in estimated
    assert "exact work of caching" in measured
    assert int(re.findall(r"(\d+) passed", tested)[0]) > len(PASSED_BY_ITSELF)
    assert "skipped" not in tested


def test_the_package_holds_the_same_files() -> None:
    """What the README shows in the checkout and what the package ships are one text."""
    module = PACKAGE / "deltastack_caching"

    assert (module / "__init__.py").read_text(encoding="utf-8") == BLOCKS["deltastack/layers/caching.py"]
    assert (module / "caching.yaml").read_text(encoding="utf-8") == BLOCKS["params/layers/caching.yaml"]


def test_a_package_adds_the_layer_without_a_change_here(tmp_path: Path) -> None:
    """Installed beside this checkout, it is estimated and held to the conformance tests; the graph gets its values once."""
    source, site = tmp_path / "source", tmp_path / "site"
    shutil.copytree(PACKAGE, source)
    words = ["-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target"]
    subprocess.run([sys.executable, *words, str(site), str(source)], check=True, capture_output=True)
    here = environment(tmp_path, site, ROOT)

    assert "image_cache" in run(["deltastack", "estimate", "caching", "--draws", "1"], ROOT, **here)
    conformance = ["tests/testbed/switches/test_conformance.py", "tests/layers/test_losses_and_controls.py"]
    tested = run(["python", "-m", "pytest", "-q", "-n", "0", *conformance, "-k", "image_cache"], ROOT, **here)
    assert "passed" in tested
    stack = tmp_path / "params" / "stack.yaml"
    stack.parent.mkdir()
    stack.write_text(BLOCKS["params/stack.yaml"].replace("storage, chiplet, pipeline, instruction_set, idle, ", ""))
    code = "from pathlib import Path; from tasks import params_editor as p; print(*[p.add_values(Path('.')) for _ in '12'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | here, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "['caching'] []"
    assert (tmp_path / "params/layers/caching.yaml").read_text(encoding="utf-8") == BLOCKS["params/layers/caching.yaml"]
