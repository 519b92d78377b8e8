#!/usr/bin/env bash
# Trains on a TPU slice of several hosts in GKE: applies a JobSet (0.6 or newer).
#   NAME=cd6me IMAGE=REGISTRY/infusenet ACCELERATOR=tpu-v5-lite-podslice \
#   TOPOLOGY=4x4 CLAIM=share WORKDIR=/share/runs/cd6me bash launch/gke.sh \
#     --config.data_dir=/share/records
# IMAGE holds the project: FROM python:3.12, COPY . /infusenet, WORKDIR /infusenet,
# RUN pip install -e .[tpu]. CLAIM is a PersistentVolumeClaim that many pods can write
# (Filestore; GCS FUSE works too but does not lock), mounted at /share.
# CHIPS (4) is per host, as the machine type has it.
# shellcheck source=launch/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
need NAME "the JobSet's name" cd6me
need IMAGE "an image that holds the project" REGISTRY/infusenet
need ACCELERATOR "the node pool's cloud.google.com/gke-tpu-accelerator" \
  tpu-v5-lite-podslice
need TOPOLOGY "the node pool's cloud.google.com/gke-tpu-topology" 4x4
need CLAIM "a PersistentVolumeClaim that many pods can write" share
need_workdir
CHIPS=${CHIPS:-4}
hosts=$((${TOPOLOGY//x/*} / CHIPS))
# Process and coordinator come from TPU_WORKER_ID and TPU_WORKER_HOSTNAMES, which GKE
# gives to the pods of an indexed Job with TPUs.
training python --distributed "$@"

# Status 75 and pods that were evicted restart all pods. Any other status fails the
# JobSet at once: starting again would not mend it.
manifest=$(cat <<EOM
apiVersion: jobset.x-k8s.io/v1alpha2
kind: JobSet
metadata:
  name: $NAME
  annotations:
    alpha.jobset.sigs.k8s.io/exclusive-topology: cloud.google.com/gke-nodepool
spec:
  failurePolicy:
    maxRestarts: 1000
    rules:
    - action: RestartJobSet
      onJobFailureReasons: [PodFailurePolicy]
    - action: FailJobSet
  replicatedJobs:
  - name: slice
    replicas: 1
    template:
      spec:
        parallelism: $hosts
        completions: $hosts
        completionMode: Indexed
        backoffLimit: 0
        podFailurePolicy:
          rules:
          - action: FailJob
            onPodConditions: [{type: DisruptionTarget, status: "True"}]
          - action: FailJob
            onExitCodes: {operator: In, values: [$SAVED]}
        template:
          spec:
            restartPolicy: Never
            terminationGracePeriodSeconds: 300
            nodeSelector:
              cloud.google.com/gke-tpu-accelerator: $ACCELERATOR
              cloud.google.com/gke-tpu-topology: $TOPOLOGY
            containers:
            - name: train
              image: $IMAGE
              command:
$(printf "              - '%s'\n" "${command[@]//\'/\'\'}")
              resources:
                limits: {google.com/tpu: $CHIPS}
              volumeMounts:
              - {name: share, mountPath: /share}
            volumes:
            - name: share
              persistentVolumeClaim: {claimName: $CLAIM}
EOM
)
if [ -n "${DRY_RUN:-}" ]; then
  echo "kubectl apply -f - <<EOF"
  echo "$manifest"
  echo EOF
else
  echo "$manifest" | kubectl apply -f -
fi
