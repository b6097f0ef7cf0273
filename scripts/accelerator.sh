#!/bin/sh
# Measure the accelerator bench on a borrowed machine, within a time limit, and leave a bundle and a log in one folder.
#   sh scripts/accelerator.sh [--seconds 480] [--device cuda|cpu] [--shape qwen3_vl_8b] [--output-tokens N] [--out accelerator-run]
# With less than 640 seconds a request answers 64 tokens, else 128.
# It needs Python 3.11 to 3.13 with torch, numba, pandas, pyarrow and scipy. What else is missing is installed into the folder: from the
# wheels in `accelerator-wheels` beside this checkout's files where that folder is there, else from the package index. A machine without
# an index gets them so: pip download -r requirements/accelerator.txt -d accelerator-wheels --python-version 3.12 --only-binary=:all:
# The same command goes on where it was cut. `deltastack replay FOLDER/accelerator.zip` shows elsewhere what the bundle says.
set -eu
cd "$(dirname "$0")/.."
seconds=480 device=cuda shape="" tokens="" out=accelerator-run
while [ $# -gt 0 ]; do
    case "$1" in
        --seconds) seconds=$2 ;;
        --device) device=$2 ;;
        --shape) shape=$2 ;;
        --output-tokens) tokens=$2 ;;
        --out) out=$2 ;;
        *) echo "accelerator.sh: unknown option '$1'; there are: --seconds --device --shape --output-tokens --out" >&2; exit 2 ;;
    esac
    shift 2
done
case "$seconds" in '' | *[!0-9]*) echo "accelerator.sh: --seconds '$seconds' is no whole number" >&2; exit 2 ;; esac

begun=$(date +%s)
mkdir -p "$out"
python=${PYTHON:-}
for candidate in "$python" .venv/bin/python python3 python3.12 python3.11; do
    [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c 'import torch' 2>/dev/null && break
    candidate=""
done
[ -n "$candidate" ] || { echo "accelerator.sh: no Python with torch here; name one: PYTHON=/path/to/python sh scripts/accelerator.sh" >&2; exit 3; }
export PYTHONPATH="$PWD:$PWD/$out/site${PYTHONPATH:+:$PYTHONPATH}"
case "$out" in /*) PYTHONPATH="$PWD:$out/site" ;; esac

needed='import jinja2, numba, pandas, psutil, pyarrow, pydantic, pyDOE3, rich, scipy, typer, yaml'
if ! "$candidate" -c "$needed" 2>/dev/null; then
    from="-r requirements/accelerator.txt"
    [ -d accelerator-wheels ] && from="--no-index --find-links accelerator-wheels $from"
    # shellcheck disable=SC2086 - the words of one option list
    "$candidate" -m pip install --quiet --disable-pip-version-check --target "$out/site" $from >"$out/pip.log" 2>&1 ||
        { tail -n 5 "$out/pip.log" >&2; echo "accelerator.sh: pip could not install requirements/accelerator.txt" >&2; exit 3; }
    rm -rf "$out/site/numpy" "$out"/site/numpy[.-]* "$out/site/scipy" "$out"/site/scipy[.-]*   # the machine's own fit its numba and torch
fi
export PYTORCH_NVML_BASED_CUDA_CHECK=1   # looking for a GPU must not open it: its idle watts are read first
seconds=$((seconds - ($(date +%s) - begun)))
[ "$seconds" -ge 1 ] || seconds=1
{
    "$candidate" -m deltastack.cli accelerator --device "$device" --seconds "$seconds" --out "$out/accelerator.zip" \
        --folder "$out/ledger" ${shape:+--shape "$shape"} ${tokens:+--output-tokens "$tokens"} 2>&1
    echo "exit $?"
} | tee "$out/log.txt"
tail -n 1 "$out/log.txt" | grep -q '^exit 0$'
