"""Exact work of a run, from the answers' own counts: passes, bytes of weights read, bytes of keys and values.

Figures are formed where they are exact alone: every answer carries its counts, requests did not share passes and no draft was
checked. Where the engine counts its calls too, both must agree; a figure that is not exact has no row.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from deltastack.engine.consistency import filled
from deltastack.errors import DeltastackError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from deltastack.engine.cells import Cell
    from deltastack.engine.client import Record
    from deltastack.engine.declaration import ExactWork
    from deltastack.engine.llamacpp.work import Batching, DecoderSize, Work

CALLS = "engine.decode_calls"


def figures(
    wanted: ExactWork | None, root: Path, cell: Cell, records: Sequence[Record], told: Mapping[str, float]
) -> dict[str, float]:
    """Work of the load by name; empty where it is not exact.

    Args:
        wanted: What the declaration says of it; None for an engine whose work nobody can form.
        root: Where the card is relative to.
        cell: The cell that ran.
        records: The measured requests.
        told: The engine's own counters over the same load; ``engine.decode_calls`` is checked.
    """
    if wanted is None or cell.concurrency > 1:
        return {}
    try:
        found = _works(wanted, root, cell, records)
    except (DeltastackError, OSError, KeyError, ValueError):
        return {}
    passes = sum(one.passes for one in found)
    uncounted = len(records) * _picture_passes(wanted, _batching(wanted, cell))
    if CALLS in told and passes - uncounted != told[CALLS]:
        return {}
    return {
        "passes": float(passes),
        "weights_read_byte": float(sum(one.weights_read_byte for one in found)),
        "kv_written_byte": float(sum(one.kv_written_byte for one in found)),
        "kv_read_byte": float(sum(one.kv_read_byte or 0 for one in found)),
    }


def _works(wanted: ExactWork, root: Path, cell: Cell, records: Sequence[Record]) -> list[Work]:
    """The work of every request.

    Raises:
        EvidenceError: An answer was drafted, cached in parts, or empty.
        KeyError: An answer without counts, or a model that the card does not have.
        OSError: No card.
    """
    from deltastack.engine.llamacpp import counters, work

    decoder, batching = _decoder(root / wanted.card, cell.words[wanted.model]), _batching(wanted, cell)
    first = (wanted.before_picture, wanted.picture) if wanted.picture else ()
    none = counters.Count(None, "no draft")
    found = []
    for record in records:
        drafted = record.reported.get("timings.draft_n")
        counts = counters.RequestCounts(
            computed=int(record.reported["timings.prompt_n"]),
            cached=int(record.reported["timings.cache_n"]),
            generated=int(record.reported["timings.predicted_n"]),
            drafted=none if drafted is None else counters.Count(int(drafted)),
            accepted=none,
        )
        found.append(work.of_request(decoder, counts, batching, first))
    return found


def _decoder(card: Path, model: str) -> DecoderSize:
    from deltastack.engine.llamacpp.work import DecoderSize

    name = model.rpartition("/")[2]
    files = {f["name"]: f["decoder"] for f in json.loads(card.read_text(encoding="utf-8"))["files"]}
    return DecoderSize(**files[name])


def _batching(wanted: ExactWork, cell: Cell) -> Batching:
    from deltastack.engine.llamacpp.work import Batching

    kind = filled(wanted.cache_type, cell.words)
    micro = int(filled(wanted.micro_batch, cell.words))
    return Batching(batch=wanted.batch, micro_batch=micro, key_type=kind, value_type=kind)


def _picture_passes(wanted: ExactWork, batching: Batching) -> int:
    """Passes of one request's picture, which the engine leaves out of its calls."""
    from deltastack.engine.llamacpp.work import prefill_passes

    return prefill_passes(wanted.picture, batching) if wanted.picture else 0
