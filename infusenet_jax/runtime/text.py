"""Numbers and tables as text."""

import sys
from collections.abc import Sequence


def duration(seconds: float) -> str:
  """Formats a time given in seconds: "45 s", "12 min", "3.5 h", "11.2 days"."""
  for unit, size, digits in (("days", 86400, 1), ("h", 3600, 1), ("min", 60, 0)):
    if seconds >= 2 * size:
      return f"{seconds / size:.{digits}f} {unit}"
  return f"{seconds:.0f} s"


def text_table(rows: Sequence[Sequence[object]], *, underlined: bool = False) -> str:
  """Lays a table out for a terminal: the first column flush left, the others right.

  Args:
    rows: the heading, then the lines. A line with fewer cells than the heading, such as
      one that ends in a message, does not widen the columns.
    underlined: whether a line of dashes follows the heading.
  """
  lines = ["  ".join(row).rstrip() for row in _padded(rows, numbers=True)]
  if underlined:
    lines.insert(1, "-" * len(lines[0]))
  return "\n".join(lines)


def markdown_table(rows: Sequence[Sequence[object]], *, numbers: bool = True) -> str:
  """Lays a Markdown table out so that its columns are aligned in a terminal as well.

  Args:
    rows: the heading, then the lines, all of the same length.
    numbers: whether the columns after the first are numbers, flush right.
  """
  rows = [[str(cell).replace("|", r"\|") for cell in row] for row in rows]
  heading, *lines = _padded(rows, numbers, least=3)  # Room for a line of dashes.
  dashes = ["-" * len(cell) for cell in heading]
  if numbers:
    dashes[1:] = [cell[:-1] + ":" for cell in dashes[1:]]
  return "\n".join(f"| {' | '.join(row)} |" for row in (heading, dashes, *lines))


def _padded(
  rows: Sequence[Sequence[object]], numbers: bool, least: int = 0
) -> list[list[str]]:
  """Pads the cells of a column to the widest of them; short rows do not count."""
  cells = [[str(cell) for cell in row] for row in rows]
  full = [row for row in cells if len(row) == len(cells[0])]
  widths = [max(least, *map(len, column)) for column in zip(*full, strict=True)]
  return [
    [
      cell.rjust(width) if number and numbers else cell.ljust(width)
      for number, (cell, width) in enumerate(zip(row, widths, strict=False))
    ]
    for row in cells
  ]


def print_lines(lines: Sequence[str]) -> None:
  """Prints lines on stderr."""
  for line in lines:
    print(line, file=sys.stderr)


# Beginnings of a cell that a spreadsheet takes for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(text: str) -> str:
  """Protects the text of a CSV field, so that no spreadsheet runs it as a formula.

  Text that begins like a formula, with or without apostrophes before it, gets an
  apostrophe in front. `plain_text` takes it away again.
  """
  return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def plain_text(field: str) -> str:
  """Undoes `csv_text`: returns the text that a CSV field was made of."""
  guarded = field.startswith("'") and field.lstrip("'").startswith(_FORMULA)
  return field[1:] if guarded else field


def one_line(error: BaseException) -> str:
  """What an exception says, on one line."""
  return " ".join(str(error).split()) or "no reason given"
