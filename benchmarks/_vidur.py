"""Vidur from PyPI, in an environment of its own that is thrown away."""

from __future__ import annotations

import json
import subprocess
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deltastack.fleet.simulator import Requests


def run_vidur(folder: Path, requests: Requests) -> dict[str, Any]:
    """Install, write the trace as Vidur reads it, run the driver; its one line.

    Raises:
        subprocess.CalledProcessError: The installation or the run failed.
    """
    venv.create(folder / "env", with_pip=True)
    python = str(folder / "env" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", "vidur"], check=True, capture_output=True, text=True)
    rows = zip(requests.arrival_s, requests.prompt_tokens, requests.output_tokens, strict=True)
    lines = [f"2023-08-21,{arrival_s},{prompt},{output}" for arrival_s, prompt, output in rows]
    trace = folder / "trace.csv"
    trace.write_text("\n".join(["Date,Time,PromptTokenCount,CompletionTokenCount", *lines]) + "\n")
    driver = str(Path(__file__).with_name("_vidur_driver.py"))
    done = subprocess.run([python, driver, str(trace), str(folder)], check=True, capture_output=True, text=True)
    asked = [python, "-c", "from importlib.metadata import version; print(version('vidur'))"]
    version = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    return {**json.loads(done.stdout.splitlines()[-1]), "version": version}
