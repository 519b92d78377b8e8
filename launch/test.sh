#!/usr/bin/env bash
# Installs what the tests need and runs them. More flags go to pytest:
#   bash launch/test.sh -m slow
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" dev
exec "$VENV/bin/python" -m pytest "$@"
