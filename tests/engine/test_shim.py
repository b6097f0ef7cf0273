"""What vLLM lacks on a processor is mended while Python starts: on fakes of torch, torchvision and vLLM, in a process apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import deltastack.engine.vllm_cpu as room

SHIM = Path(room.__file__).parent / "shim"
TORCH = """
int8, float16, float32, bfloat16 = "int8", "float16", "float32", "bfloat16"
default, defined = "float32", []
class version: cuda = None
class library:
    @staticmethod
    def define(name, schema): defined.append(name)
def get_default_dtype(): return default
"""
UTILS = "def check_cpu_sgl_kernel(n, k, dtype): return n >= 16\n"
KERNEL = "from vllm.model_executor.layers.utils import check_cpu_sgl_kernel\n"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A folder with the fakes; ``kernel`` takes the choice by name, as vLLM's own kernels do."""
    layers = tmp_path / "vllm/model_executor/layers"
    layers.mkdir(parents=True)
    for folder in (layers, layers.parent, layers.parent.parent):
        (folder / "__init__.py").write_text("")
    (layers / "utils.py").write_text(UTILS)
    (layers / "kernel.py").write_text(KERNEL)
    (tmp_path / "torch.py").write_text(TORCH)
    (tmp_path / "torchvision.py").write_text("import torch\nassert torch.defined == ['torchvision::nms', 'torchvision::qnms']\n")
    return tmp_path


def said(packages: Path, program: str, *, shim: bool = True) -> str:
    """What a Python prints that starts with the fakes, and with the shim or without."""
    path = [str(packages), *([str(SHIM)] if shim else [])]
    start = f"import sys; sys.path[:0] = {path!r}; {'import sitecustomize; ' if shim else ''}"
    run = subprocess.run([sys.executable, "-S", "-c", start + program], capture_output=True, text=True, check=True, timeout=60)
    return run.stdout.strip()


CHOICE = """
import torch
from vllm.model_executor.layers.kernel import check_cpu_sgl_kernel as check
def row(): return [check(64, 64, "int8"), check(64, 64, "bfloat16"), check(8, 64, "int8")]
print(row()); torch.default = "bfloat16"; print(row())
"""


def test_int8_weights_with_32_bit_activations_do_not_take_the_amx_kernel(packages: Path) -> None:
    """That kernel refuses 32-bit activations; every other choice is vLLM's own."""
    program = f"exec({CHOICE!r})"

    assert said(packages, program).splitlines() == ["[False, True, False]", "[True, True, False]"]
    assert said(packages, program, shim=False).splitlines() == ["[True, True, False]", "[True, True, False]"]


def test_the_operators_are_declared_before_torchvision_loads(packages: Path) -> None:
    """The fake torchvision asserts it."""
    assert said(packages, "import torchvision; print('loaded')") == "loaded"


def test_a_vllm_without_that_choice_loads_as_it_is(packages: Path) -> None:
    """Another version may have no such function: nothing is added."""
    (packages / "vllm/model_executor/layers/utils.py").write_text("other = 1\n")

    assert said(packages, "import vllm.model_executor.layers.utils as u; print(u.other, hasattr(u, 'check_cpu_sgl_kernel'))") == (
        "1 False"
    )
