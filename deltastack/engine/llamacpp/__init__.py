"""The embedded engine: llama.cpp's own server in a process of its own, its models, and what it tells of its work."""
