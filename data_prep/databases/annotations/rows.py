"""Rows of a sheet that name a clip, still as the sheet has them."""

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
  """One row; the fixes change `cells` and `marks`."""

  index: int  # Of the sheet, from 1.
  number: int  # The subject's.
  subject: str
  filename: str
  name: str  # Unique within the subject: e, e2, e3 ... of CAS(ME)^3.
  cells: dict[str, object]  # By field.
  marks: dict[int, object]  # AU number -> binary cell (4DME).

  @property
  def place(self) -> str:
    """Subject and clip, as messages name them."""
    return f"{self.subject}/{self.name}"

  def frame(self, field: str) -> int | None:
    """A frame number; None where the cell holds none."""
    try:
      return frame_number(self.cells[field], field)
    except ValueError:
      return None


@dataclasses.dataclass
class Rows:
  """The rows that name a clip, and lines about the others."""

  rows: list[Row]
  problems: list[str]  # Rows that should name a clip.
  notes: list[str]  # Footnotes and macro-expressions.


def read_rows(workbook: Path, sheet: Sheet, layout: Layout) -> Rows:
  """Names the clip of every row below the header.

  The second row of CAS(ME)^3's clip "e" of a subject is "e2", as in CD6ME.
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
