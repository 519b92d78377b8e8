#!/usr/bin/env bash
# Installs what the tests need and runs them. More flags go to pytest:
#   bash launch/test.sh -m slow
# shellcheck source=launch/environment.sh
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh" dev
# Two processes; the tests of one file share what it sets up.
exec "$VENV/bin/python" -m pytest -n 2 --dist loadfile "$@"
