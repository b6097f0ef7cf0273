"""The paper's printed figures: which are right, which are not, and where the wrong ones come from."""

from __future__ import annotations

import pytest

from deltastack.composition import paper_table

ROWS = {row.id: row for row in paper_table()}


@pytest.mark.parametrize(
    ("name", "printed", "recomputed", "right"),
    [
        ("table-cube", 0.0303, 0.030301, True),
        ("table-minus", -0.0294, -0.029701, False),
        ("table-single-core", 0.0927, 0.093685, False),
        ("table-multi-core", 0.1268, 0.126825, True),
        ("example-joint", 0.235, 0.235, True),
        ("example-weighted", 0.12, 0.12, True),
        ("one-percent-compounds:efficiency", 0.5, 0.126825, False),
        ("one-percent-compounds:cost", 0.2, 0.113615, False),
    ],
)
def test_each_printed_figure_beside_the_recomputed_one(name: str, printed: float, recomputed: float, *, right: bool) -> None:
    """1.01^9 is +9.37 %, not +9.27 %; 0.99^3 is -2.97 %, not -2.94 %; the other printed powers and both examples hold."""
    row = ROWS[name]

    assert row.printed == printed
    assert row.recomputed == pytest.approx(recomputed, abs=1e-6)
    assert row.right is right


def test_the_wrong_figures_are_explained_by_what_gives_them() -> None:
    """-2.94 % is 1/1.0303 - 1 and +9.27 % is 1.03^3 - 1; the totals name how many modules they need."""
    why = {row.id: row.why for row in paper_table()}

    assert round(1 / 1.030301 - 1, 4) == -0.0294
    assert "-2.94% is 1/1.0303 - 1" in why["table-minus"]
    assert round(1.03**3 - 1, 4) == 0.0927
    assert "+9.27% is 1.03^3 - 1" in why["table-single-core"]
    assert "+50% needs 41 (ln ratio 40.75)" in why["one-percent-compounds:efficiency"]
    assert "-20% needs 23 (ln ratio 22.20)" in why["one-percent-compounds:cost"]
    assert all(why.values())
