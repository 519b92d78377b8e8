# shellcheck shell=bash disable=SC2034
# Sourced by the launchers. Settings are environment variables, arguments are flags of
# infusenet_jax.main, and DRY_RUN=1 prints every command instead of running it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
CONFIG=${CONFIG:-configs/cd6me.py}
# A run that was told to stop (SIGTERM) and has saved; infusenet_jax/runtime/errors.py.
SAVED=75

# need NAME MEANING EXAMPLE: one line and status 2 where the variable is not set.
need() {
  if [ -z "${!1:-}" ]; then
    echo "error: $1 is not set: $2; for example $1=$3" >&2
    exit 2
  fi
}

# The run's folder: all processes and every restart must see it under this path.
# Object storage (gs://, s3://) is no such place; docs/clusters.md says more.
need_workdir() {
  need WORKDIR "the run's folder, on storage that every machine sees" /mnt/share/runs/x
  case $WORKDIR in *://*)
    echo "error: WORKDIR=$WORKDIR is a URL: mount what lies there on every machine" \
      "(NFS, Filestore, Lustre), and give the path" >&2
    exit 2 ;;
  esac
}

# training PYTHON FLAGS...: what a process runs, into the array `command`.
training() {
  command=("$1" -m infusenet_jax.main "--config=$CONFIG" "--workdir=$WORKDIR" "${@:2}")
}

step() {
  if [ -n "${DRY_RUN:-}" ]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

# install EXTRA: the project into $VENV of this machine.
install() {
  if [ -n "${DRY_RUN:-}" ]; then
    echo "source launch/environment.sh $1"
    VENV=${VENV:-.venv}
  else
    # shellcheck source=launch/environment.sh
    source launch/environment.sh "$1"
  fi
}
