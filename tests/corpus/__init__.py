"""Bad input, generated: what goes in, who reads it, and what counts as an answer."""
