"""The optimization layers: one file each, one row each in LAYERS."""
