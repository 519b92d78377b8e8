#!/usr/bin/env bash
# Trains on a TPU slice of one or more VMs with gcloud: asks for the slice, installs
# this checkout's last commit on every worker, runs, and asks again when it is lost.
#   NAME=cd6me ZONE=us-west4-a ACCELERATOR=v5litepod-16 RUNTIME=v2-alpha-tpuv5-lite \
#   SETUP='mountpoint -q /mnt/share || sudo mount -t nfs 10.0.0.2:/share /mnt/share' \
#   WORKDIR=/mnt/share/runs/cd6me bash launch/tpu_vm.sh \
#     --config.data_dir=/mnt/share/records
# SETUP runs on each worker before every start: it mounts the storage that all see and,
# where the runtime's Python is older than 3.11, installs one. SPOT=1 takes a
# preemptible slice.
# The slice is deleted when the run is finished, and kept (and paid) after an error.
# shellcheck source=launch/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
need NAME "the slice's name" cd6me
need ZONE "where the slice is" us-west4-a
need ACCELERATOR "the slice's type" v5litepod-16
need RUNTIME "the VMs' runtime version" v2-alpha-tpuv5-lite
need SETUP "a command that mounts the shared storage on a worker" true
need_workdir
tpus=(gcloud compute tpus)
create=(--node-id="$NAME" --accelerator-type="$ACCELERATOR")
create+=(--runtime-version="$RUNTIME" --zone="$ZONE" ${SPOT:+--spot})
# Process, count and coordinator come from the VM's metadata.
training .venv/bin/python --distributed "$@"

state() {
  "${tpus[@]}" queued-resources describe "$NAME" --zone="$ZONE" \
    --format='value(state.state)' 2>/dev/null || echo ABSENT
}
delete() {
  step "${tpus[@]}" queued-resources delete "$NAME" --zone="$ZONE" --force --quiet
}
on_all() {
  step "${tpus[@]}" tpu-vm ssh "$NAME" --zone="$ZONE" --worker=all --command="$1"
}
get_slice() {
  local now=ABSENT
  [ -n "${DRY_RUN:-}" ] || now=$(state)
  case $now in FAILED | SUSPENDED) delete; now=ABSENT ;; esac
  if [ "$now" = ABSENT ]; then
    step "${tpus[@]}" queued-resources create "$NAME" "${create[@]}"
  fi
  while [ -z "${DRY_RUN:-}" ]; do
    now=$(state)
    case $now in
      ACTIVE) break ;;
      FAILED) echo "error: the slice $NAME could not be made: gcloud compute tpus" \
        "queued-resources describe $NAME --zone=$ZONE says why" >&2; exit 1 ;;
    esac
    echo "$NAME: $now" >&2
    sleep 30
  done
}
set_up() {
  # A run that lost its connection may still be there: it saves before the next one.
  on_all "pkill -TERM -f '[i]nfusenet_jax.main'
while pgrep -f '[i]nfusenet_jax.main' > /dev/null; do sleep 1; done" &&
    step git archive --format=tar.gz --output="$scratch/source.tar.gz" HEAD &&
    step "${tpus[@]}" tpu-vm scp "$scratch/source.tar.gz" "$NAME:" --zone="$ZONE" \
      --worker=all &&
    on_all "mkdir -p infusenet_jax && tar -xzf source.tar.gz -C infusenet_jax &&
{ $SETUP; } && cd infusenet_jax && source launch/environment.sh tpu"
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
while true; do
  get_slice
  status=0
  { set_up && on_all "cd infusenet_jax && exec$(printf ' %q' "${command[@]}")"; } || status=$?
  if [ -n "${DRY_RUN:-}" ]; then
    echo "# again after status $SAVED, a lost connection (255) or a lost slice; then"
    delete
    exit
  elif [ "$status" -eq 0 ]; then
    delete
    exit
  elif [ "$status" -ne "$SAVED" ] && [ "$status" -ne 255 ] && [ "$(state)" = ACTIVE ]
  then
    echo "error: status $status on $NAME, which is kept and paid until" \
      "gcloud compute tpus queued-resources delete $NAME --zone=$ZONE --force" >&2
    exit "$status"
  fi
  echo "$NAME: status $status; going on" >&2
done
