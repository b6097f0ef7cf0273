"""Finished runs as rows: by hand, nulls with reasons, controls left out, and a real small experiment through the contracts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from deltastack.analysis.base_usage import with_measured
from deltastack.contracts import DELTA, JOINT, QUALITY, USAGE
from deltastack.experiment import tables
from deltastack.experiment.ledger import Entry
from deltastack.experiment.meter import Quantity, Reading
from deltastack.experiment.plan import Kind, Slot
from deltastack.experiment.run_plan import Stopped
from deltastack.model import Component, Resource
from deltastack.testbed import measure_cells, quality_eval
from deltastack.testbed.bench import Setup
from deltastack.testbed.vlm import digits, models, requests
from tests.testbed.test_bench import blank_images, refused
from tests.testbed.test_models import chosen

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def entry(cell: str, components: dict[str, dict[str, float]], *, kind: Kind = Kind.RUN, joules: float | None = None) -> Entry:
    """One run of the first block."""
    readings = {
        Quantity.IO_READ_BYTE: Reading(0.0, "hand"),
        Quantity.ENERGY_J: Reading(joules, "hand", None if joules is not None else "no counter"),
    }
    slot = Slot(start=0, block=0, position=0, cell=cell, kind=kind)
    return Entry(slot=slot, readings=readings, components=components, quality={"cached_byte_before": 4096.0})


def test_delta_rows_by_hand() -> None:
    """Encoder 3 s at base and never entered in the cell: 3 and 0; storage's bytes are null because the start was warm."""
    base = entry("base", {"encoder": {"time_s": 3.0}, "ffn": {"time_s": 1.0}}, joules=8.0)
    other = entry("skip", {"ffn": {"time_s": 2.0}}, joules=5.0)
    control = entry("base", {"ffn": {"time_s": 9.0}}, kind=Kind.CONTROL, joules=1.0)

    frame = DELTA.frame(tables.delta_rows((base, other, control), "idle", host="h", canonical=True))
    rows = {(r.component, r.resource): (r.base, r.optimized, r.reason) for r in frame.itertuples()}

    assert rows["encoder", "time_s"][:2] == (3.0, 0.0)
    assert rows["ffn", "time_s"][:2] == (1.0, 2.0)
    assert rows["encoder", "energy_j"][:2] == (6.0, 0.0)
    assert rows["ffn", "energy_j"][:2] == (2.0, 5.0)
    assert rows["storage", "io_byte"][2] == "4096 bytes of the stored file were cached before the start: it was not cold"
    assert frame.loc[frame.resource == "io_byte", ["base", "optimized"]].isna().all(axis=None)


def test_rows_from_beside_the_sessions_by_hand() -> None:
    """Two pairs of 3 copies against one: 300 and 100 byte seconds each, by name and pair; a session of the base took 4 s."""
    memory = (Component.STORAGE, Resource.MEMORY_BYTE_S)
    found = {"shared_weights@private_copies": [({memory: 300.0}, {memory: 100.0})] * 2, "x@y": []}

    frame = DELTA.frame(tables.beside_rows("storage", found, host="h", canonical=True))
    base = replace(entry("base", {}), readings={Quantity.WALL_S: Reading(4.0, "hand")})

    rows = [(r.technique, r.replicate, r.component, r.resource, r.base, r.optimized) for r in frame.itertuples()]
    assert rows == [("shared_weights@private_copies", n, *memory, 300.0, 100.0) for n in (0, 1)]
    assert tables.session_s([base, replace(base, slot=replace(base.slot, cell="other"))]) == 4.0


def test_joules_that_nobody_read_are_null_in_every_component() -> None:
    """The reason stands in each row; no zero is written."""
    (one,) = [entry("base", {"encoder": {"time_s": 3.0}, "ffn": {"time_s": 1.0}})]

    found = {k: a for k, a in tables.amounts(one).items() if k[1] is Resource.ENERGY_J}

    assert found == {(c, Resource.ENERGY_J): (None, "no counter") for c in (Component.ENCODER, Component.FFN)}


def test_a_small_experiment_through_every_contract(tmp_path: Path) -> None:
    """Base, its twin and a technique in a fresh process: DELTA, JOINT, USAGE and QUALITY hold; what cannot be entered says so.

    The technique encodes blank images for text: it costs encoder time and changes no answer.
    """
    cells = {"base": (), "blank": (blank_images,), "never": (refused,)}
    setup = Setup(root=tmp_path, settings=chosen(), text_share=0.5, cells=cells)
    effort = measure_cells.Effort(starts=1, budget_s=60, block_pairs=1, half_width=0.001, seed=1)
    said: list[str] = []

    measured = measure_cells.measure(models.engine(tmp_path, setup.settings), setup, effort, said.append)
    told = {"host": measured.host, "canonical": False}
    delta = DELTA.frame(tables.delta_rows(measured.entries, "idle", **told))
    joint = JOINT.frame(tables.joint_rows(measured.entries, **told))
    usage = USAGE.check(with_measured(USAGE.empty(), joint))

    assert measured.stopped in {Stopped.COMPLETE, Stopped.BUDGET}
    assert measured.refused == {"never": "not applicable: llava has no such part"}
    assert said[0] == "never is left out: not applicable: llava has no such part"
    assert set(delta.technique) == {"base@aa", "blank"}
    assert set(joint.cell) == {"base", "base@aa", "blank"}
    encoder = delta[(delta.technique == "blank") & (delta.component == "encoder") & (delta.resource == "cpu_s")]
    assert (encoder.optimized > encoder.base).all()
    assert len(usage[usage.resource == "io_byte"]) == 2
    assert measured.ledger.is_file()
    measured.finish()
    assert not measured.ledger.exists()


def test_answers_that_do_not_change(tmp_path: Path) -> None:
    """Encoding blank images keeps every answer: no change, agreement 1, divergence 0; a technique that is refused is null."""
    p = chosen()
    engine = models.engine(tmp_path, p)
    assessor = quality_eval.Assessor(
        trained=models.engine(tmp_path, chosen(hosts={"small": p.trained.shape.model_dump()})),
        questions=digits.examples(12, 1, held_out=True),
        measured=engine,
        session=requests.batches(engine.host, p.session, text_share=0.5, trained=False),
        host="h",
        canonical=False,
    )

    frame = QUALITY.frame(assessor.rows({"base": (), "blank": (blank_images,)}, {"blank": "idle/blank"}))
    rows = frame.set_index("metric")

    assert set(frame.subject) == {"idle/blank"}
    assert list(rows.loc[["accuracy", "top1_agreement", "divergence_nat"], "change"]) == [0, 0, 0]
    assert rows.loc["accuracy", "n"] == 24
    assert rows.loc["accuracy", "lo"] < 0 < rows.loc["accuracy", "hi"]
    assert rows.loc["top1_agreement", "value"] == 1
