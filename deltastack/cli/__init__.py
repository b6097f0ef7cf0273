"""The ``deltastack`` command; every heavy import waits until its command runs."""
