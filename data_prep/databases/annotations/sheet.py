"""Reads the sheet of an .xlsx file that holds the annotations, by column name."""

import contextlib
import dataclasses
import itertools
import re
import sys
import threading
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl

from data_prep.databases.annotations.cells import cell_text, shown
from data_prep.databases.layouts import SPELLINGS, Layout, find_columns
from data_prep.databases.listing import plain
from infusenet_jax.clips.labels import AUS
from infusenet_jax.runtime.errors import UserError

HEADER_SEARCH = 30  # Rows at the top of a sheet that are searched for column names.
# The largest of the six workbooks has 860 rows and unpacks to less than a megabyte.
MOST_BYTES = 64_000_000  # Bytes of all parts of a workbook, unpacked.
MOST_ROWS = 20_000
MOST_COLUMNS = 200
# Found in names of what belongs to macro-expressions, not to micro-expressions.
MACRO = re.compile(r"(?i)(?<![a-z])(mae|macro)")

# An .xlsx cell holds at most 32,767 characters; Python refuses numbers of more than
# 4,300 digits unless told otherwise, and one such cell would cost the whole workbook.
_CELL_DIGITS = 32_767
_digits_lock = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Sheet:
  """The sheet of a workbook that has most of the columns in its layout.

  columns: {field: position of its column}.
  au_columns: {AU: position of its binary column}.
  rows: (number of the row from 1, cells) of every row below the header.
  notes: lines on sheets that were not read.
  """

  columns: dict[str, int]
  au_columns: dict[int, int]
  rows: list[tuple[int, tuple]]
  notes: list[str]


def read_sheet(workbook: Path, layout: Layout) -> Sheet:
  """Reads the sheet of a workbook that has most of the layout's columns.

  Raises:
    UserError: the file is not a readable .xlsx file or is absurdly large, or it lacks a
      column that is needed.
  """
  _check_size(workbook)
  try:
    sheets = _read_all(workbook)
  except UserError:
    raise
  except Exception as error:  # zipfile, zlib, XML, openpyxl: each has its own errors.
    raise _unreadable(workbook, error) from error
  notes = [
    f"{workbook.name}: sheet {shown(title)} is not taken: macro-expressions"
    for title in sheets
    if MACRO.search(title)
  ]
  best: tuple = (-1, "", [], 0, {})
  for title, cells in sheets.items():
    if MACRO.search(title):
      continue
    for at, row in enumerate(cells[:HEADER_SEARCH]):
      columns = find_columns(row)
      if len(columns) > best[0]:
        best = (len(columns), title, cells, at, columns)
  _, title, cells, at, columns = best
  header = cells[at] if cells else ()
  au_columns = _au_columns(header) if layout.au_columns else {}
  _check_columns(workbook, at, header, columns, au_columns, layout)
  others = [t for t, c in sheets.items() if t != title and c and not MACRO.search(t)]
  if others:
    names = ", ".join(shown(other) for other in others)
    notes.append(f"{workbook.name}: sheet {shown(title)} is taken, not {names}")
  rows = [(i, row) for i, row in enumerate(cells[at + 1 :], at + 2)]
  return Sheet(columns, au_columns, rows, notes)


def _check_size(workbook: Path) -> None:
  """Refuses a workbook that would fill the memory, before any of it is unpacked."""
  try:
    with zipfile.ZipFile(workbook) as parts:
      size = sum(part.file_size for part in parts.infolist())
  except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
    raise _unreadable(workbook, error) from error
  if size > MOST_BYTES:
    raise UserError(
      f"{workbook}: unpacks to {size / 1e6:,.0f} MB, an annotation workbook to at most"
      f" {MOST_BYTES / 1e6:.0f} MB; restore it from the database's release"
    )


def _unreadable(workbook: Path, error: Exception) -> UserError:
  reason = " ".join(str(error).split())[:200] or type(error).__name__
  return UserError(
    f"{workbook}: not a readable .xlsx workbook ({reason}); restore it from the"
    " database's release"
  )


def _read_all(workbook: Path) -> dict[str, list[tuple]]:
  """Reads the cells of every sheet, row by row, by the sheet's title."""
  with warnings.catch_warnings(), _long_numbers():
    warnings.simplefilter("ignore")  # About styles and drop-down lists.
    book = openpyxl.load_workbook(workbook, data_only=True, read_only=True)
    with contextlib.closing(book):
      return {sheet.title: _cells(workbook, sheet) for sheet in book.worksheets}


def _cells(workbook: Path, sheet) -> list[tuple]:
  sheet.reset_dimensions()  # Some programs write wrong dimensions.
  rows = sheet.iter_rows(max_col=MOST_COLUMNS, values_only=True)
  cells = [_tamed(row) for row in itertools.islice(rows, MOST_ROWS)]
  if len(cells) == MOST_ROWS and cells[-1]:
    raise UserError(
      f"{workbook}: sheet {shown(sheet.title)} has {MOST_ROWS:,} rows or more, which no"
      " annotation workbook has; restore it from the database's release"
    )
  while cells and not cells[-1]:
    cells.pop()
  return cells


def _tamed(row: tuple) -> tuple:
  """Drops empty cells at a row's end; makes text of numbers of over 15 digits."""
  cells = [str(c) if isinstance(c, int) and abs(c) >= 10**15 else c for c in row]
  while cells and cells[-1] is None:
    cells.pop()
  return tuple(cells)


@contextlib.contextmanager
def _long_numbers() -> Iterator[None]:
  with _digits_lock:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(max(before, _CELL_DIGITS) if before else 0)
    try:
      yield
    finally:
      sys.set_int_max_str_digits(before)


def _au_columns(header: tuple) -> dict[int, int]:
  matches = ((i, re.fullmatch(r"au0*(\d\d?)", plain(n))) for i, n in enumerate(header))
  return {int(match[1]): i for i, match in matches if match}


def _check_columns(workbook, at, header, columns, au_columns, layout: Layout) -> None:
  missing = [
    f"{field} ({' or '.join(names)})"
    for field, names in SPELLINGS.items()
    if field not in columns
  ]
  if layout.au_columns:
    missing += [f"AU{au}" for au in AUS if au not in au_columns]
  if missing:
    found = ", ".join(cell_text(name)[:40] for name in header[:30] if name is not None)
    raise UserError(
      f"{workbook}: no column for {', '.join(missing)}; row {at + 1} has:"
      f" {found or 'nothing'}; rename the column in the workbook to one of these"
    )
