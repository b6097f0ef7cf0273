"""Hypothesis strategies for the nouns of the domain; the only place where they live."""
