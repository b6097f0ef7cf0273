"""Which model serves: one of the three profiles, as an engine over a folder; and what is refused.

``sized``: random weights of a real size (resources are real, quality is fidelity to the baseline). ``trained``: the default
model (quality is real). ``checkpoint``: any local LLaVA, Qwen3-VL or SmolVLM folder, read without the network.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from deltastack.errors import CapacityError, ParamsError
from deltastack.testbed.vlm import device, lifecycle, shapes, students
from deltastack.testbed.vlm.engine import Engine
from deltastack.testbed.vlm.families import wrap
from deltastack.testbed.vlm.layouts import Mapped
from deltastack.testbed.vlm.pruned_files import Parts
from deltastack.testbed.vlm.student_files import taught

if TYPE_CHECKING:
    from pathlib import Path

    from deltastack.testbed.settings import Testbed
    from deltastack.testbed.vlm.students import Students

TRAINED = "data/checkpoint/trained.safetensors"
FOLDER = ".run/testbed"
_DTYPE_BYTES = {"float32": 4, "bfloat16": 2}


def engine(root: Path, p: Testbed, profile: str | None = None) -> Engine:
    """The engine of ``profile`` (the one in params by default), its base file written if it is not there.

    Raises:
        ParamsError: A checkpoint that is missing, truncated or of another class.
        CapacityError: Weights that exceed the limit in params.
        PreflightError: The device is not here.
    """
    import torch

    torch.set_num_threads(p.threads)
    where = device.device(p.device)
    model = {"sized": _sized, "trained": _trained, "checkpoint": _checkpoint}[profile or p.profile](root, p)
    byte = sum(w.numel() for w in model.parameters()) * _DTYPE_BYTES[p.dtype]
    _refuse_large(byte, p)
    model = model.to(getattr(torch, p.dtype))
    folder = root / FOLDER / _key(p, profile or p.profile, model)
    base = folder / "base.safetensors"
    lifecycle.save_base(model, base)
    model.to(p.device)  # buffers; parameters are empty until a session brings them
    learned = (profile or p.profile) != "sized"
    made = Engine(host=wrap(model), base=base, folder=folder, device=where, layout=Mapped(), random_weights=not learned)
    made.student_provider = _students(root, p, profile or p.profile)
    made.retrained = Parts(trained=root / TRAINED, p=p.retrained) if (profile or p.profile) == "trained" else None
    return made


def read_weights(path: Path) -> dict[str, Any]:
    """Tensors of one safetensors file.

    Raises:
        ParamsError: Missing or truncated, with where it was looked for.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise ParamsError(f"no checkpoint at {path}: wanted a safetensors file; dvc repro checkpoint writes the default one")
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        size = path.stat().st_size
        raise ParamsError(f"{path} is no whole safetensors file ({size} bytes; {error}): copy it again") from error


def _students(root: Path, p: Testbed, profile: str) -> Students:
    if profile == "trained":
        return taught(root / TRAINED, p.students)
    if profile == "sized":
        return students.untaught(p.students.kept)
    return students.nobody("students are taught of the trained model only")


def _sized(root: Path, p: Testbed) -> Any:
    del root
    return shapes.build(p.family, p.hosts[p.size], p.session.seed)


def _trained(root: Path, p: Testbed) -> Any:
    return filled(p, read_weights(root / TRAINED), str(root / TRAINED))


def filled(p: Testbed, tensors: dict[str, Any], where: str) -> Any:
    """The default model with ``tensors``.

    Raises:
        ParamsError: Tensors of another shape than params say.
    """
    model = shapes.build("llava", p.trained.shape, p.trained.seed)
    want = {k: tuple(w.shape) for k, w in model.named_parameters()}
    have = {k: tuple(w.shape) for k, w in tensors.items()}
    if want != have:
        differ = sorted(k for k in want.keys() | have.keys() if want.get(k) != have.get(k))
        found = ", ".join(f"{k}: wanted {want.get(k)}, found {have.get(k)}" for k in differ[:2])
        raise ParamsError(
            f"{where} does not fit `trained.shape` in params/testbed.yaml ({len(differ)} tensors differ; {found}); "
            "make checkpoint trains it again"
        )
    model.load_state_dict(tensors, strict=False)
    return model


_OWN_CODE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""A checkpoint brings weights and sizes; code that its ``auto_map`` names is never run, and nobody is asked whether it may."""


def _checkpoint(root: Path, p: Testbed) -> Any:
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForImageTextToText

    folder = (root / str(p.checkpoint)).resolve()
    files = _weight_files(folder)
    size_byte = sum(f.stat().st_size for f in files)
    _refuse_large(size_byte, p)
    try:
        name = AutoConfig.from_pretrained(folder, **_OWN_CODE).architectures or ["unknown"]
        if not name[0].startswith(("Llava", "Qwen3VL", "SmolVLM")):
            raise ParamsError(f"the checkpoint at {folder} is a {name[0]}; the testbed serves LLaVA, Qwen3-VL and SmolVLM")
        model: Any = AutoModelForImageTextToText.from_pretrained(folder, use_safetensors=True, dtype=p.dtype, **_OWN_CODE)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:  # any config.json
        words = " ".join(str(error).split())[:200]
        raise ParamsError(f"the checkpoint at {folder} cannot be read ({words}): copy it again, whole") from error
    return model.eval()


def _weight_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.safetensors"))
    if not (folder / "config.json").is_file() or not files:
        there = ", ".join(sorted(f.name for f in folder.iterdir())[:5]) if folder.is_dir() else "no such folder"
        raise ParamsError(f"no checkpoint at {folder}: wanted config.json and *.safetensors, found {there or 'an empty folder'}")
    return files


def _refuse_large(byte: float, p: Testbed) -> None:
    if byte > p.limits.memory_bytes:
        raise CapacityError(
            f"the model's weights take {byte / 1e9:.2f} GB, limits.memory_bytes in params/testbed.yaml allows "
            f"{p.limits.memory_bytes / 1e9:.2f} GB: raise the limit or take a smaller model"
        )


def _key(p: Testbed, profile: str, model: Any) -> str:
    """Names the folder of stored files: equal keys mean equal weights."""
    digest = hashlib.sha256(json.dumps([profile, p.dtype, p.model_dump(mode="json")["hosts"]], sort_keys=True).encode())
    for name, w in model.named_parameters():
        digest.update(name.encode())
        digest.update(w.detach().reshape(-1)[:4096].float().numpy().tobytes())
    return f"{profile}-{digest.hexdigest()[:16]}"
