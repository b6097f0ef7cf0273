# ruff: noqa: INP001 - a folder of sys.path, no package
"""Two things that vLLM 0.32.0 lacks on a processor, mended while Python starts. A .pth file of .venv-engine names this folder.

torchvision: vLLM's image processors need its transforms, which are plain Python. Importing the package registers fake versions
of two operators, and that fails where the operators do not exist, as beside a CPU torch. So both are declared, with no
implementation, just before torchvision is looked for.

int8 weights: on a processor with AMX, vLLM takes its AMX kernel for int8 weights whatever the activations are. That kernel
refuses 32-bit activations, and the engine dies at the first request. So with 32-bit activations vLLM takes oneDNN's kernel,
which is the one it takes on a processor without AMX.

Beside this file lies the distribution name ``vllm``, which the wheel does not have.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class _BeforeTorchvision(importlib.abc.MetaPathFinder):
    """Finds nothing; declares the operators when torchvision is asked for."""

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname != "torchvision":
            return
        sys.meta_path.remove(self)
        import torch

        if torch.version.cuda is None:
            for name in ("nms", "qnms"):
                torch.library.define(f"torchvision::{name}", _SCHEMA)


class _ChoiceOfKernel(importlib.abc.MetaPathFinder):
    """Finds vLLM's module that chooses between the kernels, and corrects its choice once it is loaded."""

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        if fullname != "vllm.model_executor.layers.utils":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_correct(module: ModuleType) -> None:
                load(module)
                _refuse_amx_for_float32(module)

            spec.loader.exec_module = load_and_correct  # type: ignore[method-assign]
        return spec


def _refuse_amx_for_float32(module: ModuleType) -> None:
    chosen = getattr(module, "check_cpu_sgl_kernel", None)
    if chosen is None:
        return

    def check(n: int, k: int, dtype: object) -> bool:
        import torch

        refused = dtype == torch.int8 and torch.get_default_dtype() == torch.float32
        return not refused and bool(chosen(n, k, dtype))

    module.check_cpu_sgl_kernel = check  # type: ignore[attr-defined]


sys.meta_path[:0] = [_BeforeTorchvision(), _ChoiceOfKernel()]
