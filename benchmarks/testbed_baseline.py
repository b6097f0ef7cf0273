"""Is the testbed's baseline a strawman? The decoder in torch against ONNX Runtime, same weights, one thread, float32.

Both compute the prefill of the default host's decoder stack (embeddings in, hidden states out) for the same inputs. Pairs are
interleaved in A-B-B-A order and timed in processor seconds, which neighbours touch least; the ratio is the median of paired
ratios, and the outputs are held against each other first.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deltastack.testbed import settings
from deltastack.testbed.vlm import shapes

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
SHAPES = ((1, 128), (8, 128))
PAIRS, BOUND, TOLERANCE = 15, 1.3, 1e-3


def main() -> None:
    """Run, print, write."""
    os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
    import torch

    torch.set_num_threads(1)
    p = settings.load(ROOT)
    model = shapes.build("llava", p.hosts[p.size], 1)
    decoder = model.get_decoder()
    decoder.set_attn_implementation("eager")
    sdpa = shapes.build("llava", p.hosts[p.size], 1).get_decoder()
    found = {}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        peer = _session(decoder, Path(folder) / "decoder.onnx", p.hosts[p.size].hidden)
        for batch, tokens in SHAPES:
            x = torch.randn(batch, tokens, p.hosts[p.size].hidden, generator=torch.Generator().manual_seed(1))
            found[f"{batch}x{tokens}"] = _compare(sdpa, peer, x)
    print(f"decoder of the {p.size} host, float32, one thread, {PAIRS} interleaved pairs, processor time")
    for name, samples in found.items():
        ours, theirs = (statistics.median(samples[k]) for k in ("torch", "onnxruntime"))
        ratio = statistics.median(a / b for a, b in zip(samples["torch"], samples["onnxruntime"], strict=True))
        inside = "inside" if ratio <= BOUND else "outside"
        print(f"  {name}: torch {ours * 1e3:.1f} ms, ONNX Runtime {theirs * 1e3:.1f} ms, ratio {ratio:.2f} ({inside} {BOUND})")
    print("  the gap: ONNX Runtime packs the weights once and fuses norms, rotations and activations; eager torch does neither")
    results = ROOT / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "testbed_baseline.json").write_text(json.dumps({"size": p.size, "samples_s": found}, indent=2) + "\n")


def _session(decoder: Any, path: Path, hidden: int) -> Any:
    """The decoder exported with free batch and length, opened in ONNX Runtime on one thread."""
    import onnxruntime
    import torch

    class Stack(torch.nn.Module):
        """Embeddings (B, T, H) to hidden states."""

        def __init__(self) -> None:
            """Hold the decoder."""
            super().__init__()
            self.decoder = decoder

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            """No cache: prefill alone."""
            return self.decoder(inputs_embeds=x, use_cache=False).last_hidden_state

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        axes = {0: torch.export.Dim("batch", min=1, max=64), 1: torch.export.Dim("tokens", min=2, max=512)}
        torch.onnx.export(Stack().eval(), (torch.randn(2, 8, hidden),), path, dynamo=True, dynamic_shapes=(axes,), verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _compare(decoder: Any, peer: Any, x: Any) -> dict[str, list[float]]:
    """Processor seconds of each, pair by pair, after one warm-up; refuses peers that compute something else."""
    name, fed = peer.get_inputs()[0].name, x.numpy()
    work: dict[str, Callable[[], Any]] = {
        "torch": lambda: decoder(inputs_embeds=x, use_cache=False).last_hidden_state,
        "onnxruntime": lambda: peer.run(None, {name: fed})[0],
    }
    gap = float(np.abs(work["torch"]().numpy() - work["onnxruntime"]()).max())
    if gap > TOLERANCE:
        raise SystemExit(f"torch and ONNX Runtime differ by {gap:.2e}: not the same computation")
    samples: dict[str, list[float]] = {k: [] for k in work}
    for pair in range(PAIRS):
        for key in sorted(work, reverse=bool(pair % 2)):
            start = time.process_time()
            work[key]()
            samples[key].append(time.process_time() - start)
    return samples


if __name__ == "__main__":
    main()
