"""What happens to the weights in a session: stored, chilled, loaded, put to sleep, woken, let go of."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from deltastack.contracts import atomic
from deltastack.errors import EvidenceError
from deltastack.model import Component
from deltastack.testbed import page_cache
from deltastack.testbed.vlm.served_model import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import nn

    from deltastack.testbed.vlm.engine import Engine
    from deltastack.testbed.vlm.served_model import Batch, Host
    from deltastack.testbed.vlm.serving import Tensors


def stored_file(engine: Engine) -> Path:
    """The file of the current layout and storing; written from the base file if it is not there."""
    from safetensors.torch import load_file

    name = engine.serving.stored_name()
    path = engine.folder / f"{name}.bin"
    if not path.exists():
        tensors = engine.serving.store(load_file(engine.base))
        with atomic(path) as part:
            engine.serving.layout.write(tensors, part)
    return path


def chill(path: Path) -> int:
    """Drop the file from the page cache; the bytes that stayed there all the same."""
    page_cache.drop(path)
    return page_cache.cached_byte(path)


@contextlib.contextmanager
def awake(engine: Engine, path: Path) -> Iterator[int]:
    """Load, apply the changes, hook the components; all of it is undone at exit. Gives the bytes asked for."""
    host = engine.host
    loaded = engine.serving.layout.load(path)
    spare = fill(host.model, loaded.tensors, engine)
    tie(host)
    asked_byte, close = loaded.asked_byte, loaded.close
    del loaded
    try:
        with contextlib.ExitStack() as stack:
            for ranked in engine.serving.ordered_changes():
                stack.enter_context(ranked.change(host, spare))
            _refuse_empty(host)
            stack.enter_context(_hooked(engine))
            engine.awake = True
            engine.residence.resident_byte.update(weight_bytes(host))
            yield asked_byte
    finally:
        empty(host.model)
        close()


def fill(model: nn.Module, tensors: Tensors, engine: Engine) -> Tensors:
    """Give the model's parameters and tied copies their tensors; what no parameter wants is handed back."""
    from torch import nn

    spare = dict(tensors)
    for module_path, module in model.named_modules():
        for name in module._parameters:  # noqa: SLF001 - parameters are replaced, not copied into: no second copy of the weights
            path = f"{module_path}.{name}" if module_path else name
            if path in spare:
                tensor = engine.device.place(spare.pop(path))
                module._parameters[name] = nn.Parameter(tensor, requires_grad=False)  # noqa: SLF001 - as above
    return {k: engine.device.place(v) for k, v in spare.items()}


def empty(module: nn.Module) -> None:
    """Let go of every parameter below ``module``; modules that hold packed weights are asked to ``release`` them."""
    import torch
    from torch import nn

    for m in module.modules():
        for name, parameter in m._parameters.items():  # noqa: SLF001 - as in fill
            if parameter is not None:
                m._parameters[name] = nn.Parameter(torch.empty(0), requires_grad=False)  # noqa: SLF001 - as in fill
        release = getattr(m, "release", None)
        if callable(release):
            release()


def weight_bytes(host: Host) -> dict[Component, int]:
    """Resident bytes of weights by component; a storage is counted once, for the first component that holds it.

    A module that holds packed weights says their size in ``packed_byte``.
    """
    component = {id(m): c for c, roots in host.parts().items() for r in roots for m in r.modules()}
    seen: set[int] = set()
    total: dict[Component, int] = {}
    for module in host.model.modules():
        c = component.get(id(module), Component.OTHER)
        held = int(getattr(module, "packed_byte", 0))
        for tensor in module._parameters.values():  # noqa: SLF001 - named_parameters would drop shared ones silently
            if tensor is not None and tensor.data_ptr() not in seen:
                seen.add(tensor.data_ptr())
                held += tensor.numel() * tensor.element_size()
        total[c] = total.get(c, 0) + held
    return {c: n for c, n in total.items() if n}


def idle(engine: Engine, batch: Batch, path: Path) -> None:
    """The virtual gap before ``batch``: the encoder may fall asleep in it, and is woken if the batch needs it."""
    after_s = engine.serving.unload_encoder_after_s
    residence = engine.residence
    if after_s is not None and engine.awake and batch.gap_s > after_s:
        residence.wait(after_s)
        with engine.recorder.within(Component.STORAGE):
            sleep(engine)
        residence.wait(batch.gap_s - after_s)
    elif batch.gap_s > 0:
        residence.wait(batch.gap_s)
    needs = batch.kind is Kind.IMAGE or engine.serving.encode_text
    if needs and not engine.awake:
        with engine.recorder.within(Component.STORAGE):
            wake(engine, path)


def sleep(engine: Engine) -> None:
    """Let go of the encoder's weights; a layout that keeps memory for the next load is asked to ``forget`` it."""
    for module in engine.host.encoder_modules():
        empty(module)
    forget = getattr(engine.serving.layout, "forget", None)
    if callable(forget):
        forget()
    engine.residence.release(Component.ENCODER)
    engine.awake = False


def wake(engine: Engine, path: Path) -> None:
    """Bring the encoder's weights back from the disk; modules with packed weights get theirs through ``restore``."""
    host = engine.host
    roots = tuple(f"{name}." for name, m in host.model.named_modules() if any(m is e for e in host.encoder_modules()))
    loaded = engine.serving.layout.load_some(path, roots)
    spare = fill(host.model, loaded.tensors, engine)
    for name, module in host.model.named_modules():
        restore = getattr(module, "restore", None)
        if callable(restore) and name.startswith(roots):
            restore(spare)
    engine.awake = True
    engine.residence.resident_byte[Component.ENCODER] = weight_bytes(host)[Component.ENCODER]


def tie(host: Host) -> None:
    """Let the output head share the embedding's weight where the file has none for it."""
    head, embedding = host.head._parameters, host.embedding._parameters  # noqa: SLF001 - as in fill
    weight = head.get("weight")
    if weight is not None and weight.numel() == 0:
        head["weight"] = embedding["weight"]


def _refuse_empty(host: Host) -> None:
    lacking = [name for name, p in host.model.named_parameters() if p.numel() == 0]
    if lacking:
        shown = ", ".join(lacking[:3])
        raise EvidenceError(f"{len(lacking)} parameters have no tensor in the stored file and no change replaces them: {shown}")


@contextlib.contextmanager
def _hooked(engine: Engine) -> Iterator[None]:
    """Time the host's parts."""
    parts = engine.host.parts()
    handles = [h for c, modules in parts.items() for m in modules for h in engine.recorder.hooks(c, m)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def save_base(model: nn.Module, path: Path) -> None:
    """Write the model's parameters as safetensors, shared ones once, and let go of them."""
    from safetensors.torch import save_file

    with atomic(path) as part:
        save_file({k: p.detach().contiguous() for k, p in model.named_parameters()}, part)
    empty(model)
