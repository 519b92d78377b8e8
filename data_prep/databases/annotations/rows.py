"""Finds the rows of a sheet that name a clip, with their cells as they are there."""

import dataclasses
from collections import Counter
from pathlib import Path

from data_prep.databases.annotations.cells import (
  cell_text,
  frame_number,
  shown,
  subject_number,
)
from data_prep.databases.annotations.sheet import Sheet
from data_prep.databases.layouts import Layout

ADVICE = "the row is left out until that is put right in the workbook"
MOST_NAME = 100  # Characters of a clip's name.


@dataclasses.dataclass
class Row:
  """One row of a sheet; fixes change its `cells` and `marks`."""

  index: int  # Number of the row in the sheet, from 1.
  number: int  # Number of the subject.
  subject: str
  filename: str
  name: str  # Unique within the subject: e, e2, e3 ... of CAS(ME)^3.
  cells: dict[str, object]  # Field -> cell.
  marks: dict[int, object]  # AU number -> cell that says whether it is shown (4DME).

  @property
  def place(self) -> str:
    """Subject and clip, as messages name them."""
    return f"{self.subject}/{self.name}"

  def frame(self, field: str) -> int | None:
    """Reads the frame number in a field; None if the cell holds no such number."""
    try:
      return frame_number(self.cells[field], field)
    except ValueError:
      return None


@dataclasses.dataclass
class Rows:
  """The rows of a sheet that name a clip, and lines on the others."""

  rows: list[Row]
  problems: list[str]  # Lines on rows that should name a clip and do not.
  notes: list[str]  # Lines on footnotes and rows of macro-expressions.


def read_rows(workbook: Path, sheet: Sheet, layout: Layout) -> Rows:
  """Reads the rows below the header and names the clip of each.

  In CAS(ME)^3 rows of a subject may share a file name: as in CD6ME, the clip of the
  second row for "e" is called "e2".
  """
  found = Rows([], [], list(sheet.notes))
  names: Counter = Counter()
  macro = 0
  for index, values in sheet.rows:
    values = [v.strip() if isinstance(v, str) else v for v in values]
    cells = {
      f: values[i] if i < len(values) else None for f, i in sheet.columns.items()
    }
    if not any(cell_text(value) for value in values):
      continue
    place = f"{workbook.name} row {index}"
    filename, number = cell_text(cells["filename"]), subject_number(cells["subject"])
    unnumbered = not any(cell_text(cells[f]) for f in ("onset", "apex", "offset"))
    if unnumbered and (number is None or not filename):
      text = next(value for value in values if cell_text(value))
      found.notes.append(f"{place}: {shown(text)} is no clip; left alone")
      continue
    if "macro" in cell_text(cells.get("expression")).lower():
      macro += 1
      continue
    if number is None or not filename or len(filename) > MOST_NAME:
      found.problems.append(
        f"{place}: subject {shown(cells['subject'])} and file name {shown(filename)}"
        f" name no clip; {ADVICE}"
      )
      continue
    subject = layout.subject.format(number)
    names[subject, filename] += 1
    count = names[subject, filename]
    name = f"{filename}{count}" if layout.repeats_names and count > 1 else filename
    marks = {au: values[i] for au, i in sheet.au_columns.items()}
    found.rows.append(Row(index, number, subject, filename, name, cells, marks))
  if macro:
    found.notes.append(
      f"{workbook.name}: rows of macro-expressions (Expression type) that are not"
      f" taken: {macro}"
    )
  return found
