"""Parameter files: what their words mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deltastack import params

if TYPE_CHECKING:
    from pathlib import Path


def test_on_is_a_word_and_true_is_a_boolean(tmp_path: Path) -> None:
    """As DVC reads it (YAML 1.2): a key ``on`` stays a key, ``no`` stays a word, ``true`` and ``False`` are booleans."""
    (tmp_path / "a.yaml").write_text("on: true\ncountry: no\noff: False\nyes: 1\n", encoding="utf-8")

    assert params.read_yaml(tmp_path / "a.yaml") == {"on": True, "country": "no", "off": False, "yes": 1}
