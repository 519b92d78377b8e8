"""Workbooks of the six databases -> one `Clip` per usable row, by column name."""

import dataclasses
import re
import warnings
from pathlib import Path

import openpyxl

from data_prep.databases.fixes import FIXES, SWAPPED_LABELS
from data_prep.databases.layouts import SPELLINGS, Layout, find_columns, plain
from infusenet_jax.clips.labels import AUS
from infusenet_jax.runtime.errors import UserError

HEADER_SEARCH = 30  # Rows at the top of a sheet that may hold the column names.
NO_AU = ("", "?", "/", "-", "none", "n/a", "nan")


@dataclasses.dataclass(frozen=True)
class Clip:
  """One annotated clip. Frame numbers are those in the frames' file names."""

  database: str
  subject: str
  name: str  # Unique within the subject.
  filename: str  # As in the workbook; several clips of CAS(ME)^3 may share it.
  number: int  # The subject's.
  row: int  # Of the sheet, from 1.
  sheet_onset: int | None  # Before any fix; names the folder of a clip release.
  onset: int
  apex: int
  offset: int
  labels: tuple[int, ...]  # 0 or 1 in the order of `protocol.AUS`.
  aus: str
  emotion: str


@dataclasses.dataclass
class Annotations:
  """The clips of one workbook, the rows left out and the fixes applied, as lines."""

  workbook: Path
  clips: list[Clip]
  problems: list[str]
  fixes: list[str]


def parse_aus(text: object) -> dict[int, bool]:
  """AU numbers in an annotation such as `R12 + L14B`, each with its (k) mark.

  AUs are split on `+`; the letters around a number are its side and intensity and
  are dropped, as is `ref(x)`. A mark `(k)` says that the coders were unsure.
  Empty cells and `?` hold no AU.

  Raises:
    ValueError: a part that holds no number, or more than one.
  """
  text = "" if text is None else str(text).strip()
  aus: dict[int, bool] = {}
  if text.lower() in NO_AU:
    return aus
  for part in text.split("+"):
    numbers = re.findall(r"\d+", part)
    letters = re.sub(r"\d+", "", part)
    if len(numbers) != 1 or not re.fullmatch(r"[A-Za-z()\s.?]*", letters):
      raise ValueError(f"AU text {text!r}: {part.strip()!r} is not one AU")
    number = int(numbers[0])
    aus[number] = "(k)" in part.lower() or aus.get(number, False)
  return aus


def read_annotations(workbook: Path, layout: Layout, fix: bool = True) -> Annotations:
  """Reads a workbook; a row that cannot be used becomes a line in `problems`.

  Args:
    workbook: an .xlsx file with the columns of `layout`, in any revision's spelling.
    layout: of the database.
    fix: apply the known fixes (licensed workbooks).

  Raises:
    UserError: the file cannot be opened, or a column that is needed is missing.
  """
  result = Annotations(workbook, [], [], [])
  rows = _read_rows(workbook, layout, result.problems)
  if fix:
    result.fixes = _apply_fixes(rows, layout)
  seen: dict[tuple, int] = {}
  for row in rows:
    try:
      clip = _to_clip(row, layout)
      same = (clip.subject, clip.filename, *_repeat_key(clip, layout))
      if same in seen:
        raise ValueError(f"repeats row {seen[same]} ({clip.subject}/{clip.filename})")
    except ValueError as error:
      place = f"{workbook.name} row {row.index}"
      result.problems.append(f"{place}: {error}; the row is left out")
      continue
    seen[same] = row.index
    result.clips.append(clip)
  return result


@dataclasses.dataclass
class _Row:
  index: int
  number: int
  subject: str
  filename: str
  name: str
  cells: dict[str, object]  # By field.
  marks: dict[int, object]  # AU number -> binary cell (4DME).
  sheet_onset: int | None


def _repeat_key(clip: Clip, layout: Layout) -> tuple:
  """What besides subject and file name makes a row of its own."""
  # CAS(ME)^3 cuts several clips out of one recording.
  return (clip.onset, clip.apex, clip.offset) if layout.key == "casme3a" else ()


def _read_rows(workbook: Path, layout: Layout, problems: list[str]) -> list[_Row]:
  cells, header_at, columns, au_columns = _open_sheet(workbook, layout)
  rows, names = [], {}
  for index, values in enumerate(cells[header_at + 1 :], header_at + 2):
    values = [v.strip() if isinstance(v, str) else v for v in values]
    fields = {f: values[i] if i < len(values) else None for f, i in columns.items()}
    if all(value in (None, "") for value in fields.values()):
      continue
    digits = re.findall(r"\d+", _text(fields["subject"]))
    if not digits or not _text(fields["filename"]):
      problems.append(
        f"{workbook.name} row {index}: subject {_text(fields['subject'])!r} and file"
        f" name {_text(fields['filename'])!r} name no clip; the row is left out"
      )
      continue
    number, filename = int(digits[-1]), _text(fields["filename"])
    subject = layout.subject.format(number)
    # The second row of CAS(ME)^3's clip "e" of a subject is "e2", as in CD6ME.
    count = names[subject, filename] = names.get((subject, filename), 0) + 1
    name = filename
    if layout.key == "casme3a" and count > 1:
      name = f"{filename}{count}"
    try:
      sheet_onset = _frame_number(fields["onset"], "onset")
    except ValueError:
      sheet_onset = None
    marks = {au: values[i] for au, i in au_columns.items()}
    rows.append(
      _Row(index, number, subject, filename, name, fields, marks, sheet_onset)
    )
  return rows


def _open_sheet(workbook: Path, layout: Layout):
  """All cells of the sheet that looks most like the layout's, and its columns."""
  try:
    with warnings.catch_warnings():  # About styles and drop-down lists.
      warnings.simplefilter("ignore")
      book = openpyxl.load_workbook(workbook, data_only=True)
  except Exception as error:  # zipfile, zlib, XML, openpyxl: each has kinds of its own.
    reason = " ".join(str(error).split()) or type(error).__name__
    raise UserError(
      f"{workbook}: not a readable .xlsx workbook ({reason}); restore it from the"
      " database's release"
    ) from error
  best: tuple = (-1, [], 0, {})
  for sheet in book.worksheets:
    cells = [tuple(row) for row in sheet.iter_rows(values_only=True)]
    for at, row in enumerate(cells[:HEADER_SEARCH]):
      columns = find_columns(row)
      if len(columns) > best[0]:
        best = (len(columns), cells, at, columns)
  _, cells, at, columns = best
  header = cells[at] if cells else ()
  au_columns = {}
  for i, name in enumerate(header):
    if match := re.fullmatch(r"au0*(\d+)", plain(name)):
      au_columns[int(match[1])] = i
  missing = [
    f"{field} ({' or '.join(SPELLINGS[field])})"
    for field in SPELLINGS
    if field not in columns
  ]
  if layout.au_columns:
    missing += [f"AU{au}" for au in AUS if au not in au_columns]
  else:
    au_columns = {}
  if missing:
    found = ", ".join(str(name) for name in header if name is not None)
    raise UserError(
      f"{workbook}: no column for {', '.join(missing)}; row {at + 1} has: {found};"
      " rename the column in the workbook to one of these"
    )
  return cells, at, columns, au_columns


def _apply_fixes(rows: list[_Row], layout: Layout) -> list[str]:
  """Applies the known fixes in place; one line for each cell that it changes."""
  lines = []
  by_name = {(row.subject, row.name): row for row in reversed(rows)}
  for key, values in FIXES.get(layout.key, {}).items():
    for field, value in values.items():
      if key in by_name and _text(by_name[key].cells[field]) != str(value):
        old = _text(by_name[key].cells[field])
        by_name[key].cells[field] = value
        lines.append(f"{key[0]}/{key[1]}: {field} {old or 'missing'} -> {value}")
  for first, second in SWAPPED_LABELS.get(layout.key, ()):
    if first in by_name and second in by_name:
      one, other = by_name[first], by_name[second]
      one.marks, other.marks = other.marks, one.marks
      one.cells["aus"], other.cells["aus"] = other.cells["aus"], one.cells["aus"]
      lines.append(f"{'/'.join(first)} and {'/'.join(second)}: labels swapped back")
  return lines


def _to_clip(row: _Row, layout: Layout) -> Clip:
  onset, apex, offset = (
    _frame_number(row.cells[field], field) for field in ("onset", "apex", "offset")
  )
  if not onset <= apex <= offset:
    raise ValueError(
      f"apex {apex} is outside the clip, onset {onset} to offset {offset}"
      f" ({row.subject}/{row.name})"
    )
  marked = parse_aus(row.cells["aus"])
  positive = {au for au in marked if not marked[au]}
  if layout.au_columns:
    # Binary columns are the labels; (k) in the text sets an AU to 0, as CD6ME does.
    positive = {au for au, cell in row.marks.items() if _is_set(cell, au)}
    positive -= {au for au in marked if marked[au]}
  return Clip(
    database=layout.key,
    subject=row.subject,
    name=row.name,
    filename=row.filename,
    number=row.number,
    row=row.index,
    sheet_onset=row.sheet_onset,
    onset=onset,
    apex=apex,
    offset=offset,
    labels=tuple(int(au in positive) for au in AUS),
    aus=_text(row.cells["aus"]),
    emotion=_text(row.cells["emotion"]).lower(),
  )


def _is_set(cell: object, au: int) -> bool:
  text = _text(cell)
  if text not in ("", "0", "1"):
    raise ValueError(f"column AU{au} holds {text!r}, expected 0 or 1")
  return text == "1"


def _frame_number(cell: object, field: str) -> int:
  text = _text(cell)
  if not text.isdecimal():
    found = f"is {text!r}, not a frame number" if text else "is empty"
    raise ValueError(f"{field} {found}")
  return int(text)


def _text(cell: object) -> str:
  """A cell as text; Excel's 4.0 is 4."""
  if cell is None:
    return ""
  if isinstance(cell, float) and cell.is_integer():
    cell = int(cell)
  return str(cell).strip()
