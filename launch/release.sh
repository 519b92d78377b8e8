#!/usr/bin/env bash
# What must hold before a release, in a new environment: every test, those too slow for
# .ci/run too; a run that is killed 20 times; the whole quickstart, beside README's
# table. It leaves the wheel in dist/.
#   bash launch/release.sh
# shellcheck source=launch/steps.sh
source "$(dirname "${BASH_SOURCE[0]}")/steps.sh"
scratch=SCRATCH
if [ -z "${DRY_RUN:-}" ]; then
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
fi
export VENV=$scratch/venv
install dev

step "$VENV/bin/ruff" check .
step "$VENV/bin/ruff" format --check .
step "$VENV/bin/python" -m pytest -m ""
step "$VENV/bin/python" -m tests.training.kill --kills 20
step bash launch/beside_readme.sh bash launch/quickstart.sh "--workdir=$scratch/run" \
  "--config.simulated.dir=$scratch/simulated"
step "$VENV/bin/python" -m pip wheel --no-deps --wheel-dir=dist .
