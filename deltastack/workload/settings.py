"""params/workload.yaml as types, and how its one choice (a trace, or the generator) is made."""

from __future__ import annotations

import hashlib
import math
import re
import shutil
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import Field, model_validator

from deltastack import params
from deltastack.contracts import atomic
from deltastack.errors import ParamsError, UnknownNameError, WorkloadError
from deltastack.model import Params
from deltastack.workload.generate import generate
from deltastack.workload.images import ImageRule
from deltastack.workload.mix import Mix
from deltastack.workload.raw import Read
from deltastack.workload.readers import read

if TYPE_CHECKING:
    from pathlib import Path

FILE = "params/workload.yaml"
_ENTRY = re.compile(r"^trace:.*\n(?:(?:[ \t]*\n)*[ ]+\S.*\n)*", re.MULTILINE)


class Trace(Params):
    """A trace that was taken into data/traces, known by its content."""

    path: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    drop_bad: bool = False


class Variant(Params):
    """What a named variant changes of the mix; null keeps the mix's own."""

    words: str
    text_only_share: float | None = Field(default=None, ge=0, le=1)
    output_factor: float = Field(default=1.0, gt=0)


class Generator(Params):
    """What to generate when there is no trace."""

    requests: int = Field(ge=1)
    duration_s: float = Field(ge=60)
    seed: int
    variant: str


class Settings(Params):
    """params/workload.yaml."""

    trace: Trace | None
    generator: Generator
    images: ImageRule
    variants: dict[str, Variant]
    mix: Mix

    @model_validator(mode="after")
    def _variant_exists(self) -> Settings:
        if self.generator.variant not in self.variants:
            raise ValueError(f"generator.variant: no variant '{self.generator.variant}'; there are: {', '.join(self.variants)}")
        return self

    def variant_mix(self, name: str) -> Mix:
        """The mix of a variant.

        Raises:
            UnknownNameError: No such variant.
        """
        if name not in self.variants:
            raise UnknownNameError(f"no workload variant '{name}'; there are: {', '.join(self.variants)}")
        v, generated = self.variants[name], self.mix.generated_tokens
        scaled = {c: tuple(max(x * v.output_factor, 1.0) for x in getattr(generated, c)) for c in ("image", "text_only")}
        changes: dict[str, Any] = {"generated_tokens": generated.model_copy(update=scaled)}
        if v.text_only_share is not None:
            changes["text_only_share"] = v.text_only_share
        return self.mix.model_copy(update=changes)


def load(root: Path) -> Settings:
    """The settings of the checkout at ``root``.

    Raises:
        ParamsError: They do not hold.
    """
    return params.load(root / FILE, Settings)


def workload(root: Path, settings: Settings) -> Read:
    """The workload that the settings choose.

    Raises:
        WorkloadError: The trace is gone, changed, or bad.
    """
    if settings.trace is None:
        g = settings.generator
        mix = settings.variant_mix(g.variant)
        frame = generate(mix, settings.images, requests=g.requests, duration_s=g.duration_s, seed=g.seed)
        return Read(frame=frame, format=f"generated: {settings.variants[g.variant].words}", dropped=0)
    path = root / settings.trace.path
    found = sha256(path)
    if found != settings.trace.sha256:
        raise WorkloadError(
            f"{settings.trace.path} is not the trace that {FILE} names (sha256 {found[:12]}..., wanted "
            f"{settings.trace.sha256[:12]}...): run `deltastack run --trace FILE` with the trace again, or `--trace default`"
        )
    return read(path, settings.images, drop_bad=settings.trace.drop_bad)


def set_trace(root: Path, file: Path | None, *, drop_bad: bool = False) -> str | None:
    """Make ``file`` the workload (None: the generator), and return the path it was taken to.

    The file is read and checked first: a bad one is refused and the settings stay as they were. Only the ``trace``
    entry of params/workload.yaml changes; comments stay.

    Raises:
        ParamsError: params/workload.yaml has no entry ``trace``.
        WorkloadError: The trace cannot be read, or has bad rows.
    """
    settings = load(root)
    entry: dict[str, Any] | None = None
    if file is not None:
        read(file, settings.images, drop_bad=drop_bad)
        digest = sha256(file)
        taken = root / "data" / "traces" / f"{digest[:12]}-{file.name}"
        if not taken.exists():
            with atomic(taken) as part:
                shutil.copyfile(file, part)
        entry = {"path": taken.relative_to(root).as_posix(), "sha256": digest, "drop_bad": drop_bad}
    current = settings.trace.model_dump() if settings.trace else None
    if entry != current:
        _rewrite(root / FILE, entry)
    return entry["path"] if entry else None


def sha256(path: Path) -> str:
    """Hex digest of a file.

    Raises:
        WorkloadError: No such file.
    """
    if not path.is_file():
        raise WorkloadError(f"no such trace: {path.name}; run `deltastack run --trace FILE` with the trace again")
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _rewrite(path: Path, entry: dict[str, Any] | None) -> None:
    """Replace the lines of the entry ``trace`` and no others; back at null the file is what it was."""
    text = path.read_text(encoding="utf-8")
    new = yaml.safe_dump({"trace": entry}, sort_keys=False, allow_unicode=True, width=math.inf)
    changed, count = _ENTRY.subn(lambda _: new, text)
    if count != 1:
        raise ParamsError(f"{path}: wanted one entry 'trace:' at the start of a line, found {count}; write `trace: null` there")
    with atomic(path) as part:
        part.write_text(changed, encoding="utf-8")
