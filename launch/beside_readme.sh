#!/usr/bin/env bash
# Runs a command and says how the tables that it prints differ from those in README:
#   bash launch/beside_readme.sh bash launch/quickstart.sh
# Other numbers are no failure, since processors differ by a few points; other rows are.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
printed=$(mktemp)
trap 'rm -f "$printed"' EXIT
"$@" | tee "$printed"
echo
# A row is a name, the model's binary F1 and its interval.
awk '
  { sub(/^    /, "") }
  /^(AU|Database) table/ { table = $1 " table" }
  match($0, /^[A-Z0-9][A-Za-z0-9()^ ]* +[0-9]+\.[0-9] \[ *[0-9.]+, *[0-9.]+\]/) {
    split($0, parts, / *\[/)
    value = name = parts[1]
    sub(/.* /, "", value)
    sub(/ +[0-9.]+$/, "", name)
    row = table ", " name
    if (NR != FNR) { here[row] = value; next }
    rows[++count] = row
    readme[row] = value
  }
  END {
    for (i = 1; i <= count; i++) {
      row = rows[i]
      if (!(row in here)) { missing = missing (missing ? "; " : "") row; continue }
      if (here[row] == readme[row]) { same++; continue }
      away = here[row] - readme[row]
      printf "%-26s README %5.1f, ", row, readme[row]
      printf "here %5.1f (%+.1f)\n", here[row], away
      if (away < 0) away = -away
      if (away > largest) largest = away
    }
    if (!count) missing = "it has no tables"
    if (missing) {
      print "error: rows of README that were not printed: " missing > "/dev/stderr"
      exit 1
    }
    printf "binary F1 as in README in %d of %d rows", same, count
    if (same < count) printf "; %.1f points away at most", largest
    print ""
  }' README.md "$printed"
