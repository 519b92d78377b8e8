#!/usr/bin/env bash
# Trains on this machine: one process drives all its GPUs (TPUs with EXTRA=tpu).
#   WORKDIR=runs/cd6me bash launch/machine.sh --config.data_dir=RECORDS
# When the run alone is told to stop, it saves and is started again. When this script
# is (SIGTERM, Ctrl-C), the run saves and both end; the same command goes on later.
# shellcheck source=launch/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
need_workdir
install "${EXTRA-gpu}"
training "$VENV/bin/python" "$@"

if [ -n "${DRY_RUN:-}" ]; then
  step "${command[@]}"
  echo "# and again for as long as it ends with status $SAVED"
  exit
fi
told=
run=
trap 'told=1; [ -z "$run" ] || kill -TERM "$run"' TERM INT
while [ -z "$told" ]; do
  "${command[@]}" &
  run=$!
  status=0
  wait "$run" || status=$?
  if [ -n "$told" ]; then  # The signal ended that wait; the run is still saving.
    status=0
    wait "$run" || status=$?
    exit "$status"
  fi
  [ "$status" -eq "$SAVED" ] || exit "$status"
  echo "launch/machine.sh: the run was stopped and has saved; starting it again" >&2
done
exit "$SAVED"
