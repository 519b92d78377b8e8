"""What the commands print when they are done."""

import sys
from typing import TYPE_CHECKING

from infusenet_jax.protocol import DATABASES

if TYPE_CHECKING:
  from data_prep.build import Outcome


def format_table(header: list[str], rows: list[list[object]]) -> str:
  """Text columns: the first flush left, the others right."""
  cells = [header, *([str(cell) for cell in row] for row in rows)]
  widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
  lines = []
  for row in cells:
    columns = [row[0].ljust(widths[0])]
    columns += [row[i].rjust(widths[i]) for i in range(1, len(row))]
    lines.append("  ".join(columns).rstrip())
  return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def print_outcomes(outcomes: list["Outcome"], all_wanted: bool) -> int:
  """Lists problems on stderr, then prints the table; returns build's exit status.

  `all_wanted`: no databases were named, so those without a folder get a row too.
  """
  rows = []
  for outcome in outcomes:
    print_lines(outcome.notes + outcome.problems)
    if outcome.failure:
      print_lines([outcome.failure])
    state = "kept" if outcome.reused else f"{outcome.seconds:.0f} s"
    rows.append(
      [
        DATABASES[outcome.key],
        f"{outcome.clips} of {outcome.annotated}",
        outcome.subjects,
        outcome.centred,
        len(outcome.fixes),
        len(outcome.problems),
        "not built" if outcome.failure else state,
      ]
    )
  if all_wanted:
    built = {outcome.key for outcome in outcomes}
    rows += [
      [DATABASES[key], *"-----", "not there"] for key in DATABASES if key not in built
    ]
  header = ["database", "clips", "subjects", "centre crops", "fixes", "problems", ""]
  print(format_table(header, rows))
  if any(outcome.failure for outcome in outcomes):
    return 2
  return int(any(outcome.problems for outcome in outcomes))


def print_lines(lines: list[str]) -> None:
  """Prints one line each on stderr."""
  for line in lines:
    print(line, file=sys.stderr)
