#!/usr/bin/env bash
# Measures an accelerator part by part, each in a process of its own of at most LIMIT
# seconds (default 240), and prints the tables of docs/performance.md as Markdown. A
# part that is done is not done again; one that fails does not stop the others.
#   bash launch/measure.sh [PART...] --out OUT
# It needs neither a network nor records: Python with jax, flax, optax,
# orbax-checkpoint, absl-py, OpenCV and, for the part "peers", PyTorch. PYTHON names
# another interpreter, TINY=1 takes sizes that a CPU does in minutes.
set -euo pipefail
here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-python3}
measure=("$PYTHON" -m infusenet_jax.benchmark.accelerator ${TINY:+--tiny})

parts=() out=
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=${2:-}; [ $# -lt 2 ] || shift ;;
    --out=*) out=${1#--out=} ;;
    -*) echo "error: $1 is no flag; expected [PART...] --out OUT" >&2; exit 2 ;;
    *) parts+=("$1") ;;
  esac
  shift
done
if [ -z "$out" ]; then
  echo "error: --out is missing; expected [PART...] --out OUT, a folder" >&2
  exit 2
fi
case $out in /*) ;; *) out=$here/$out ;; esac
if [ ${#parts[@]} -eq 0 ]; then
  read -ra parts <<< "$("${measure[@]}" --list)"
fi

failed=()
for part in "${parts[@]}"; do
  if [ -s "$out/$part.json" ]; then
    echo "$part: done before" >&2
    continue
  fi
  start=$SECONDS status=0
  timeout "${LIMIT:-240}" "${measure[@]}" "$part" --out "$out" || status=$?
  if [ $status -eq 0 ]; then
    echo "$part: $((SECONDS - start)) s" >&2
  else
    failed+=("$part")
    [ $status -ne 124 ] || echo "error: $part took more than ${LIMIT:-240} s" >&2
  fi
done
"${measure[@]}" tables --out "$out"
if [ ${#failed[@]} -gt 0 ]; then
  echo "error: not measured: ${failed[*]}; the same command tries again" >&2
  exit 1
fi
