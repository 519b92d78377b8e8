"""Reads cells of a workbook or CSV file as text and numbers; shows them in messages."""

import re

MOST_SHOWN = 60  # Characters of a cell that a message shows.
# Digits of a frame or subject number; records keep frame numbers in 32 bits.
MOST_DIGITS = 9


def cell_text(cell: object) -> str:
  """Returns a cell as text without blanks around it; "4" for 4.0 and for "4.0"."""
  if cell is None:
    return ""
  if isinstance(cell, float) and cell.is_integer():
    cell = int(cell)
  text = str(cell).strip()
  return re.sub(r"(?a)^(\d+)\.0+$", r"\1", text)


def shown(cell: object) -> str:
  """Quotes a cell for a message: on one line, and cut if it is long."""
  text = cell_text(cell)
  if len(text) > MOST_SHOWN:
    return f"{text[:MOST_SHOWN]!r}... ({len(text):,} characters)"
  return repr(text)


def frame_number(cell: object, field: str) -> int:
  """Reads a frame number from a cell; `field` names the cell in messages.

  Raises:
    ValueError: the cell is empty, not a whole number, negative or absurdly large.
  """
  text = cell_text(cell)
  if not text:
    raise ValueError(f"{field} is empty")
  if not re.fullmatch(r"(?a)\d+", text):
    raise ValueError(f"{field} is {shown(text)}, not a frame number")
  if len(text.lstrip("0")) > MOST_DIGITS:
    raise ValueError(
      f"{field} is {shown(text)}, more than the {MOST_DIGITS} digits of any frame"
    )
  return int(text)


def subject_number(cell: object) -> int | None:
  """Returns the number in a subject's name, such as 7 for `sub07`; None without one."""
  numbers = re.findall(r"(?a)\d+", cell_text(cell))
  if not numbers or len(numbers[-1].lstrip("0")) > MOST_DIGITS:
    return None
  return int(numbers[-1])


def is_set(cell: object, column: str) -> bool:
  """Whether a binary cell holds 1 or TRUE; 0, FALSE and an empty one do not.

  Raises:
    ValueError: it holds something else.
  """
  text = cell_text(cell).lower()
  if text not in ("", "0", "1", "false", "true"):
    raise ValueError(f"column {column} holds {shown(cell)}, expected 0 or 1")
  return text in ("1", "true")
