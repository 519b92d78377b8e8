# shellcheck shell=bash
# Sourced by the other scripts: a virtual environment in $VENV (default .venv) with
# the project and, as the first argument, one of its extras or "" for none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENV=${VENV:-.venv}

if [ ! -x "$VENV/bin/pip" ]; then
  for candidate in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys, venv, ensurepip
sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$candidate; break; fi
  done
  if [ -z "${found:-}" ]; then
    echo "error: no Python 3.11 or newer with venv and ensurepip was found; install" \
      "one (on Debian also python3-venv), or name it:" \
      "PYTHON=/path/to/python3.11 bash $0" >&2
    exit 2
  fi
  [ -e "$VENV" ] || made=$VENV
  echo "making $VENV with $found" >&2
  if ! said=$("$found" -m venv "$VENV" 2>&1); then
    rm -rf ${made:+"$made"}
    echo "error: $found -m venv $VENV failed: ${said##*$'\n'}" >&2
    exit 2
  fi
fi

# Of what pip says, a line for each package that it fetches, and last their number.
fetched() {
  local line name
  local is_file='^ *(Downloading|Using cached|Processing) ([^ ]+)( \(.* .B\))?'
  while IFS= read -r line; do
    if [[ $line =~ $is_file ]] && [[ ${BASH_REMATCH[2]} != *.metadata ]]; then
      name=${BASH_REMATCH[2]##*/}
      if [[ $name == *-*-*.whl ]]; then name=$(cut -d- -f1,2 <<< "$name"); fi
      echo "  $name${BASH_REMATCH[3]}"
    elif [[ $line == "Installing collected packages: "* ]]; then
      echo "  unpacking $(wc -w <<< "${line#*: }") packages"
    fi
  done
}

# What is installed is not installed again, so that a rerun needs no network.
stamp="$VENV/.installed-${1:-base}"
if [ setup.cfg -nt "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
  echo "installing infusenet_jax${1:+[$1]} into $VENV" >&2
  pip=("$VENV/bin/python" -m pip install --disable-pip-version-check --progress-bar=off)
  PYTHONUNBUFFERED=1 "${pip[@]}" -e ".${1:+[$1]}" | fetched >&2
  touch "$stamp"
fi
