"""The wheel: built from the checkout, installed into an empty environment with the core's dependencies alone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("deltastack", "tasks", "flows", "params", "pyproject.toml", "README.md", "LICENSE", "NOTICE")
ASKED = """
import json, sys
import deltastack as ds
found = {"product": ds.compose([0.10, 0.15]).independent, "rate": ds.capacity(output_tokens=20, draws=1)["requests_per_s"]}
found["heavy"] = sorted({"prefect", "dvc", "mlflow", "torch", "altair"} & {m.split(".")[0] for m in sys.modules})
found["from"] = ds.__file__
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout; built in a copy, so that nothing is left here."""
    copy = tmp_path_factory.mktemp("source")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, copy / part)
    out = tmp_path_factory.mktemp("wheel")
    words = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet", "-w", str(out), str(copy)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel, and links to what its core needs."""
    home = tmp_path_factory.mktemp("empty")
    venv.create(home, with_pip=False)
    found = home / "bin/python"
    words = ["install", "--no-deps", "--no-index", "--quiet", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(found), *words], check=True, capture_output=True)
    site = next((home / "lib").glob("python*/site-packages"))
    for file in _files(_closure("deltastack")):
        if not (site / file.name).exists():
            (site / file.name).symlink_to(file)
    return found


def _closure(name: str) -> set[str]:
    """The distributions that a plain install of ``name`` brings, without itself."""
    found: set[str] = set()
    todo = _core() if name == "deltastack" else [name]
    while todo:
        one = todo.pop()
        if one in found:
            continue
        found.add(one)
        todo += [_name(r) for r in metadata.requires(one) or [] if "extra ==" not in r and _here(r)]
    return found


def _core() -> list[str]:
    text = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [_name(r) for r in text["project"]["dependencies"]]


def _name(requirement: str) -> str:
    return re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0]


def _here(requirement: str) -> bool:
    """Whether what is required is installed; what a marker rules out is not."""
    try:
        metadata.version(_name(requirement))
    except metadata.PackageNotFoundError:
        return False
    return True


def _files(names: set[str]) -> set[Path]:
    """The top-level files and folders of some distributions."""
    return {
        Path(str(d.locate_file(file.parts[0])))
        for d in map(metadata.distribution, names)
        for file in d.files or []
        if file.parts[0] not in {"..", "bin"}
    }


def test_every_folder_of_params_is_in_the_wheel() -> None:
    """A folder that is added must be named in pyproject.toml."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    folders = {p.parent.relative_to(ROOT) for p in (ROOT / "params").rglob("*") if p.is_file()}
    assert {f"share/deltastack/{f}" for f in folders} == set(listed)
    files = {p.relative_to(ROOT) for p in (ROOT / "params").rglob("*") if p.is_file()}
    assert files == {f.relative_to(ROOT) for globs in listed.values() for g in globs for f in ROOT.glob(g)}


@pytest.mark.slow
def test_the_core_works_in_an_empty_environment(python: Path, tmp_path: Path) -> None:
    """The API answers from any folder with the params that came along; no graph library is there or needed."""
    clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run([str(python), "-I", "-c", ASKED], capture_output=True, text=True, cwd=tmp_path, env=clean, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["product"] == pytest.approx(0.235)
    assert found["rate"] > 0
    assert found["heavy"] == []
    assert Path(found["from"]).is_relative_to(python.parents[1])


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--version"], ["published", "--brief"], ["factorial", str(ROOT / "docs/examples/runs.csv")]])
def test_light_commands_work_in_an_empty_environment(python: Path, tmp_path: Path, words: list[str]) -> None:
    """The console command is installed; what needs no graph runs without it."""
    done = subprocess.run(
        [str(python.with_name("deltastack")), *words], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.slow
def test_a_command_of_the_graph_says_which_extra_it_needs(python: Path, tmp_path: Path) -> None:
    """One line with the remedy, no traceback."""
    (tmp_path / "dvc.yaml").touch()
    command = str(python.with_name("deltastack"))
    done = subprocess.run([command, "run"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 3
    assert "deltastack[graph]" in done.stderr
    assert "Traceback" not in done.stderr
