"""``python -m cli`` is ``deltastack``."""

from cli.main import main

main()
