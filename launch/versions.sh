#!/usr/bin/env bash
# Runs the default tests with every Python that is found, from 3.11 on, or with those
# that are named, each in an environment of its own with the newest packages that
# setup.cfg admits; then says which versions passed. Environments are kept in $VENVS
# (default .venvs).
#   bash launch/versions.sh [PYTHON...] [-- PYTEST FLAG...]
# NNX's coming tree mode: NNX_GRAPH_MODE=false NNX_GRAPH_UPDATES=false bash ...
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENVS=${VENVS:-.venvs}

pythons=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  pythons+=("$1")
  shift
done
[ $# -eq 0 ] || shift
if [ ${#pythons[@]} -eq 0 ]; then
  for minor in 11 12 13 14; do
    if "python3.$minor" -c '' 2>/dev/null; then pythons+=("python3.$minor"); fi
  done
fi
if [ ${#pythons[@]} -eq 0 ]; then
  echo "error: no Python from 3.11 on was found; name one: bash $0 /path/to/python" >&2
  exit 2
fi

said=()
failed=0
for python in "${pythons[@]}"; do
  if ! version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])'); then
    echo "error: $python does not run; name another interpreter" >&2
    exit 2
  fi
  echo "== Python $version" >&2
  result=passed
  if ! PYTHON=$python VENV=$VENVS/$version bash launch/test.sh "$@"; then
    result=FAILED failed=1
  fi
  packages=$("$VENVS/$version/bin/python" -m pip list --format=freeze 2>/dev/null |
    grep -E '^(jax|flax|optax|orbax-checkpoint|grain|tensorflow-datasets|numpy|opencv-python-headless)==' |
    tr '\n' ' ' || true)
  said+=("$result: Python $version, $packages")
done
printf '%s\n' "${said[@]}"
exit $failed
