#!/usr/bin/env bash
# Makes the weights that ship again, from nothing: simulates, trains the network on all
# clips and its six-fold twin, calibrates, packs. Resumes when it is given again.
#   bash launch/weights.sh
#   RUNS=tried/runs OUT=tried/weights bash launch/weights.sh --config.train.epochs=1
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" ""
runs=${RUNS:-runs} out=${OUT:-infusenet_jax/predict/weights}
python=$VENV/bin/python

"$python" -m infusenet_jax.main --config=configs/shipped.py:twin \
  --workdir="$runs/shipped-twin" "$@"
"$python" -m infusenet_jax.main --config=configs/shipped.py \
  --workdir="$runs/shipped" "$@"
exec "$python" -m infusenet_jax.predict.weights.pack --run "$runs/shipped" \
  --calibration-run "$runs/shipped-twin" --out "$out"
