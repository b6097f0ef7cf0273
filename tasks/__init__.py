"""One thin module a stage: files and params in, one domain call, files out."""
