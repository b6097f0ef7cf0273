"""One folder with the own model's files, and a real server over them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest

from deltastack.engine.llamacpp import questions, vlm
from deltastack.engine.llamacpp.weights import Precision
from deltastack.testbed.learning import bundled_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from deltastack.engine.llamacpp.questions import Question

ROOT = Path(__file__).parents[3]
SERVER = (sys.executable, "-m", "deltastack.engine.llamacpp.server")


class Served(NamedTuple):
    """A running server: its process, its address, and what it said before it listened."""

    process: subprocess.Popen[str]
    address: str
    said: tuple[str, ...]

    def post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        """The answer's body."""
        answer = httpx.post(self.address + path, json=body, timeout=60)
        answer.raise_for_status()
        return dict(answer.json())

    def get(self, path: str) -> httpx.Response:
        """The answer."""
        return httpx.get(self.address + path, timeout=60)


@pytest.fixture(scope="session")
def image_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The own model in three precisions, and its tower."""
    folder = tmp_path_factory.mktemp("models")
    trained = vlm.read(bundled_checkpoint.FOLDER)
    for precision in (Precision.F32, Precision.Q8_0, Precision.Q4_0):
        vlm.text(trained, precision, folder / f"image-{precision}.gguf")
    vlm.vision(trained, folder / "image-mmproj.gguf")
    return folder


@pytest.fixture(scope="session")
def held_out() -> tuple[Question, ...]:
    """180 questions, thirty of each kind."""
    return questions.held_out(180, 99)


@pytest.fixture
def serve(image_models: Path) -> Callable[..., AbstractContextManager[Served]]:
    """Start a server of the own model with settings, and end it."""

    @contextmanager
    def start(*words: str, precision: Precision = Precision.F32) -> Iterator[Served]:
        files = ["--model", str(image_models / f"image-{precision}.gguf"), "--mmproj", str(image_models / "image-mmproj.gguf")]
        plain = [w for s in ("n_ctx=1024", "cpuparams.n_threads=1", "warmup=false", *words) for w in ("--set", s)]
        process = subprocess.Popen(
            [*SERVER, *files, "--with-parent", *plain], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
        )
        assert process.stdout is not None
        try:
            said = []
            for line in process.stdout:
                said.append(line.strip())
                if line.startswith("listening "):
                    break
            yield Served(process, said[-1].removeprefix("listening "), tuple(said[:-1]))
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    return start
