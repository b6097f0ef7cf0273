# ruff: noqa: INP001 - a folder of sys.path, no package
"""Let vLLM import torchvision beside a CPU torch, where torchvision's own compiled operators cannot load.

vLLM's image processors need torchvision's transforms, which are plain Python. Importing the package registers fake versions of
two operators, and that fails where the operators do not exist. So both are declared, with no implementation, just before
torchvision is looked for. A .pth file of .venv-engine names this folder (scripts/engine.sh). Beside this file lies the
distribution name ``vllm``, which the wheel does not have.
"""

from __future__ import annotations

import importlib.abc
import sys

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


sys.meta_path.insert(0, _BeforeTorchvision())
