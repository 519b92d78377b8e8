#!/usr/bin/env bash
# From a fresh clone to result tables on simulated data. More flags are passed on:
#   bash launch/quickstart.sh --config.train.epochs=5 --workdir=runs/short
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" ""
exec "$VENV/bin/python" -m infusenet_jax.main --config=configs/quickstart.py "$@"
