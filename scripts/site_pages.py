"""Pages of the site that are made from the code and from files beside ``docs``; a hook of mkdocs.yml.

Commands come from Typer, tables from the contracts, parameters from the files themselves. README, CONTRIBUTING and CHANGELOG are
shown as they are. A link that leads out of the site becomes the name of the file it leads to.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File

sys.path.insert(0, str(Path(__file__).parent))
import flowchart_svg

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
BESIDE = {"README.md": "readme.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
FLOWCHART = re.compile(r"```mermaid\n(flowchart .*?)```", re.DOTALL)
LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages."""
    made = {place: (ROOT / name).read_text(encoding="utf-8") for name, place in BESIDE.items()}
    made |= {"reference/commands.md": commands(), "reference/tables.md": tables(), "reference/params.md": parameters()}
    made["decisions/index.md"] = decisions()
    made["tutorials/notebook.md"] = notebook(ROOT / "examples/four_numbers.ipynb")
    for place, text in made.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links between README and ``docs`` to their pages, and draw flowcharts; a file that is no page keeps its name alone."""
    del config
    names = {place: name for name, place in BESIDE.items()}
    here = (ROOT / names[page.file.src_uri]).parent if page.file.src_uri in names else (ROOT / "docs" / page.file.src_uri).parent
    markdown = FLOWCHART.sub(lambda m: flowchart_svg.svg(m[1]), markdown)
    return LINK.sub(lambda m: _link(m, here, page.file.src_uri, files), markdown)


def _link(found: re.Match[str], here: Path, source: str, files: Files) -> str:
    words, target, anchor = found[1], found[2], found[3] or ""
    path = (here / target).resolve()
    if not path.is_relative_to(ROOT):
        return words
    inside = path.relative_to(ROOT).as_posix()
    place = BESIDE.get(inside, inside.removeprefix("docs/"))
    if (ROOT / inside).is_dir() or place == "decisions":
        place = f"{place}/index.md"
    if (inside not in BESIDE and not inside.startswith("docs/")) or files.get_file_from_path(place) is None:
        return f"`{inside}`" if words == target else f"{words} (`{inside}`)"
    up = "../" * source.count("/")
    return f"[{words}]({up}{place}{anchor})"


def commands() -> str:
    """Every command with its options, from the command line itself."""
    import typer

    from deltastack.cli.main import app

    lines = ["# Commands", "", "`deltastack COMMAND --help` prints the same. `--json` puts one JSON value on stdout.", ""]
    return "\n".join([*lines, *_command(typer.main.get_command(app), "deltastack")])


def _command(command: Any, path: str) -> list[str]:
    lines = [f"## {path}" if path.count(" ") else "", "", _prose(command.help), ""]
    parts = [p for p in command.params if p.name not in {"help", "install_completion", "show_completion"}]
    if path.count(" ") and parts:
        lines += ["| option or argument | default | meaning |", "|---|---|---|"]
        lines += [f"| `{_spelled(p)}` | {_default(p)} | {_cell(getattr(p, 'help', None))} |" for p in parts]
        lines.append("")
    for name, inner in getattr(command, "commands", {}).items():
        lines += _command(inner, f"{path} {name}")
    return lines


def _spelled(parameter: Any) -> str:
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return names if parameter.param_type_name == "option" else names.upper()


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    return "" if parameter.default in {None, False} or callable(parameter.default) else f"`{parameter.default}`"


def tables() -> str:
    """Every contract: its columns with their types, units and bounds."""
    from deltastack import contracts

    lines = [
        "# Tables",
        "",
        "Every table that crosses a stage has a contract. A table that breaks it is refused, with the remedy.",
        "",
    ]
    for contract in [getattr(contracts, n) for n in sorted(contracts.__all__) if n.isupper()]:
        lines += [f"## {contract.name}", "", f"Version {contract.version}; unique key: {', '.join(contract.key)}.", ""]
        lines += ["| column | type | unit | may be null | allowed |", "|---|---|---|---|---|"]
        lines += [
            f"| `{c.name}` | {c.dtype} | {c.unit} | {'yes' if c.nullable else 'no'} | {_allowed(c)} |" for c in contract.columns
        ]
        lines += ["", f"Made again by `{contract.remedy}`.", ""]
    return "\n".join(lines)


def _yes(value: bool) -> str:  # noqa: FBT001 - a word for a flag
    return "yes" if value else "no"


def _allowed(column: Any) -> str:
    if column.among:
        return ", ".join(str(a) for a in column.among)
    bounds = [f"from {column.low:g}" if column.low is not None else "", f"to {column.high:g}" if column.high is not None else ""]
    return " ".join(filter(None, bounds))


def parameters() -> str:
    """Every file of ``params`` as it is; its comments say what a key means."""
    lines = ["# Parameters", "", "Values live in `params` alone. A value with `low` and `high` is drawn between them.", ""]
    for file in sorted((ROOT / "params").rglob("*.yaml")):
        name = file.relative_to(ROOT).as_posix()
        if "published" in name:
            continue
        lines += [f"## {name}", "", f'```yaml\n--8<-- "{name}"\n```', ""]
    return "\n".join(lines)


def notebook(file: Path) -> str:
    """A notebook as a page: words, code, and below it what the code prints."""
    parts = []
    for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
            continue
        parts.append(f"```python\n{text}\n```")
        parts += ["```text\n" + "".join(out["text"]).rstrip() + "\n```" for out in cell["outputs"]]
    return "\n\n".join(parts) + "\n"


def decisions() -> str:
    """A list of the decisions by their titles."""
    lines = ["# Decisions", "", "Why things are as they are. A change of such a choice adds a decision.", ""]
    for file in sorted((ROOT / "docs/decisions").glob("0*.md")):
        title = file.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        lines.append(f"- [{title}]({file.name})")
    return "\n".join(lines)


def _prose(text: str | None) -> str:
    return re.sub(r"(?<!\n)\n(?!\n)", " ", (text or "").split("\f")[0])


def _cell(text: str | None) -> str:
    return _prose(text).replace("|", "\\|").replace("\n", " ")
