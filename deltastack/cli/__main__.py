"""``python -m deltastack.cli`` is ``deltastack``."""

from deltastack.cli.main import main

main()
