#!/usr/bin/env bash
# Trains on several GPU nodes: submits a SLURM job that requeues itself.
#   WORKDIR=/shared/runs/cd6me NODES=2 GPUS=8 bash launch/slurm.sh \
#     --config.data_dir=/shared/records
# This checkout, its environment and the data must be on storage that the nodes share.
# GPUS is per node, HOURS (24) the time limit. sbatch reads the rest, such as
# SBATCH_PARTITION and SBATCH_ACCOUNT, by itself.
# shellcheck source=launch/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
need_workdir
need NODES "how many nodes" 2
need GPUS "how many GPUs each node has" 8
install gpu
# Process, count and coordinator come from SLURM_PROCID, SLURM_NTASKS and
# SLURM_STEP_NODELIST. JAX gives process i of a node its GPU i (SLURM_LOCALID), so
# there is one process per GPU, and each must see all GPUs of its node.
training "$VENV/bin/python" --distributed "$@"

# --wait: once a process has ended, the others have that long to save and end. Process 0
# alone knows whether starting again would mend it.
job=$(cat <<EOJ
#!/usr/bin/env bash
cd $(printf '%q' "$PWD") || exit
ended=$(printf '%q' "$WORKDIR")/.slurm-\$SLURM_JOB_ID
rm -f "\$ended"
status=0
srun --gpu-bind=none --wait=300 bash launch/slurm_task.sh "\$ended" \
  $(printf '%q ' "${command[@]}")|| status=\$?
if [ -s "\$ended" ]; then status=\$(cat "\$ended") && rm "\$ended"; fi
if [ "\$status" -eq $SAVED ]; then scontrol requeue "\$SLURM_JOB_ID" && exit; fi
exit "\$status"
EOJ
)
step mkdir -p "$WORKDIR"
# TERM goes to the processes (not to the script above) 5 minutes before the end.
submit=(sbatch "--job-name=${NAME:-infusenet}" "--nodes=$NODES"
  "--ntasks-per-node=$GPUS" "--gpus-per-node=$GPUS" "--time=${HOURS:-24}:00:00"
  --requeue --signal=TERM@300 --open-mode=append "--output=$WORKDIR/slurm-%j.log")
if [ -n "${DRY_RUN:-}" ]; then
  step "${submit[@]}"
  echo "$job"
else
  echo "$job" | "${submit[@]}"
fi
