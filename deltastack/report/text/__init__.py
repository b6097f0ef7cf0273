"""Text of the report: numbers, headlines, the terminal's last lines."""
