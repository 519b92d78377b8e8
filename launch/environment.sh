# Sourced by the other scripts: a virtual environment in $VENV (default .venv) with
# the project and, as the first argument, one of its extras.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENV=${VENV:-.venv}

if [ ! -x "$VENV/bin/python" ]; then
  for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
    then found=$candidate; break; fi
  done
  if [ -z "${found:-}" ]; then
    echo "error: no Python 3.11 or newer with the venv module was found; install one," \
      "or name it: PYTHON=/path/to/python3.11 bash $0" >&2
    exit 2
  fi
  "$found" -m venv "$VENV"
fi
echo "installing infusenet_jax into $VENV" >&2
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -e ".${1:+[$1]}"
