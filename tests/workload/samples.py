"""Small traces in the published formats, written here; the real one is read where it lies beside the checkout."""

from __future__ import annotations

from pathlib import Path

REAL = Path(__file__).parents[3] / "shared" / "traces" / "AzureLLMInferenceTrace_conv.csv"
"""The Azure LLM 2023 conversation trace (CC-BY), 19,366 requests; not shipped with the project."""

LLM_2023 = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
2023-11-16 18:15:51.2224670,879,55"""

LMM_2024 = """TIMESTAMP,NumImages,ContextTokens,GeneratedTokens
2024-10-15T12:00:00.269Z,0,770,491
2024-10-15T12:00:05.819Z,1,949,126
2024-10-15T12:00:06.513Z,4,964,79
"""

MOONCAKE = """{"timestamp": 0, "input_length": 1300, "output_length": 52, "hash_ids": [1, 2, 3]}
{"timestamp": 500, "input_length": 1200, "output_length": 10, "hash_ids": [1, 2, 9]}
{"timestamp": 2000, "input_length": 512, "output_length": 7, "hash_ids": [1]}
"""


def write(folder: Path, text: str, name: str = "trace.csv") -> Path:
    """``text`` as a file in ``folder``."""
    path = folder / name
    path.write_text(text)
    return path
