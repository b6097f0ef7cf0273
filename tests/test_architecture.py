"""The house keeps its shape: imports run one way, and the help page loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = ("prefect", "mlflow", "dvc", "torch", "pandas", "numpy", "scipy", "pyarrow", "altair", "fastapi", "sqlalchemy")
HELP = f"""
import sys
from deltastack.cli.main import main
sys.argv = ["deltastack", *sys.argv[1:]]
try:
    main()
except SystemExit as stop:
    loaded = [name for name in {HEAVY} if name in sys.modules]
    print("exit", stop.code, "loaded", loaded, file=sys.stderr)
"""


def python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """``code`` run by a fresh interpreter in the project."""
    return subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False)


def test_import_contracts() -> None:
    """If you are here because this failed: the output names the import that crosses a wall (docs/decisions/0001)."""
    ended = python("import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "0 broken" in ended.stdout


def test_help_loads_nothing_heavy() -> None:
    """If you are here because this failed: move the named import of cli/ into the command that needs it."""
    ended = python(HELP, "--help")

    assert "compose" in ended.stdout
    assert ended.stderr.strip() == "exit 0 loaded []"
