"""The engine bench: layers as switches of a real serving engine."""
