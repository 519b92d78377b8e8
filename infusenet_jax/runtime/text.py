"""Numbers and tables as text."""

import sys
from collections.abc import Sequence


def duration(seconds: float) -> str:
  """Seconds in words: "45 s", "12 min", "3.5 h", "11.2 days"."""
  for unit, size, digits in (("days", 86400, 1), ("h", 3600, 1), ("min", 60, 0)):
    if seconds >= 2 * size:
      return f"{seconds / size:.{digits}f} {unit}"
  return f"{seconds:.0f} s"


def table(rows: Sequence[Sequence[str]]) -> str:
  """Rows under their heading; a row with fewer cells than it does not widen columns."""
  full = [row for row in rows if len(row) == len(rows[0])]
  widths = [max(map(len, column)) for column in zip(*full, strict=True)]
  lines = []
  for row in rows:
    first, *others = zip(row, widths, strict=False)
    cells = [first[0].ljust(first[1])] + [cell.rjust(width) for cell, width in others]
    lines.append("  ".join(cells).rstrip())
  return "\n".join(lines)


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


def print_lines(lines: list[str]) -> None:
  """Prints one line each on stderr."""
  for line in lines:
    print(line, file=sys.stderr)


# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(text: str) -> str:
  """Text for a CSV field that a spreadsheet must not run as a formula.

  An apostrophe goes before what would be one, and before an apostrophe that stands
  before it already, so that `plain_text` gets the text back.
  """
  return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def plain_text(field: str) -> str:
  """The text that `csv_text` made a CSV field of."""
  guarded = field.startswith("'") and field.lstrip("'").startswith(_FORMULA)
  return field[1:] if guarded else field
