"""The few lines that a person reads at the end of a run, on the flow's page and on the MLflow run."""

from __future__ import annotations

from pathlib import Path

from tasks import outbox

SAID = Path("reports/summary.json")


def lines(folder: Path) -> list[str]:
    """What reports/summary.json in ``folder`` says, few enough for a screen; empty if there is none."""
    said = outbox.read(folder / SAID)
    if "screen" not in said:
        return sentences(folder)
    from deltastack.report import closing_lines

    return closing_lines(said)


def sentences(folder: Path) -> list[str]:
    """Every line that reports/summary.json in ``folder`` has for a terminal; empty if there is none."""
    said = outbox.read(folder / SAID)
    if not said:
        return []
    from deltastack.report import summary_lines
    from deltastack.report.text import exact_work, starts
    from deltastack.report.text.scenes import scene_lines

    exact = [line for x in said.get("exact", []) for line in exact_work.lines(x["bench"], x["card"], x["layers"])]
    apart = [line for x in said.get("loading", []) for line in starts.lines(x["bench"], x["card"], x["layers"])]
    rest = [*apart, *said.get("engines", []), *said.get("no_switch", []), *scene_lines(said.get("scenes", []))]
    return [*exact, *summary_lines(said), *rest]


def card(folder: Path) -> list[str]:
    """The verdict and the evidence card of the results in ``folder``, as Markdown; empty if there are none."""
    said = outbox.read(folder / SAID)
    if not said:
        return []
    from deltastack.report import card_markdown

    return card_markdown(said)


def layers(folder: Path) -> list[str]:
    """The layers' savings and the targets of the results in ``folder``, losses first, as Markdown; empty if there are none."""
    said = outbox.read(folder / SAID)
    if not said:
        return []
    from deltastack.report import escaped, targets
    from deltastack.report import layers as rows

    return [*markdown_table(rows(said)), "", *(f"- {escaped(line)}" for line in targets(said))]


def markdown_table(rows: list[list[str]]) -> list[str]:
    """Rows, the first the head, as a Markdown table; empty if there are none."""
    from deltastack.report import escaped

    lines = ["| " + " | ".join(escaped(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
    return [lines[0], f"|{'---|' * len(rows[0])}", *lines[1:]] if rows else []
