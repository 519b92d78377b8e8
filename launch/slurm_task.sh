#!/usr/bin/env bash
# One process of launch/slurm.sh's job: runs it and, for process 0, writes down what it
# ended with. The others' own statuses say no more than that another one is gone.
#   bash launch/slurm_task.sh FILE COMMAND...
file=$1
shift
told=
child=
trap 'told=1; [ -z "$child" ] || kill -TERM "$child"' TERM
"$@" &
child=$!
[ -z "$told" ] || kill -TERM "$child"  # It came before there was anyone to tell.
status=0
wait "$child" || status=$?
while kill -0 "$child" 2> /dev/null; do  # A signal ended that wait, not the process.
  status=0
  wait "$child" || status=$?
done
[ "${SLURM_PROCID:-0}" != 0 ] || echo "$status" > "$file"
exit "$status"
