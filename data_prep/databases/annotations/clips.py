"""Reads the workbooks of the six databases: a `Clip` per usable row."""

import dataclasses
from pathlib import Path

from data_prep.databases.annotations.aus import parse_aus
from data_prep.databases.annotations.cells import cell_text, frame_number, is_set
from data_prep.databases.annotations.fixes import apply_fixes
from data_prep.databases.annotations.rows import ADVICE, Row, read_rows
from data_prep.databases.annotations.sheet import read_sheet
from data_prep.databases.layouts import Layout
from infusenet_jax.clips.labels import AUS

MOST_EMOTION = 60  # Characters of an emotion's name.


@dataclasses.dataclass(frozen=True)
class Clip:
  """One annotated clip. Frame numbers are those in the frames' file names."""

  database: str
  subject: str
  name: str  # Unique within the subject.
  filename: str  # As in the workbook; clips of a subject in CAS(ME)^3 may share it.
  number: int  # Number of the subject.
  row: int  # Number of the row in the sheet, from 1.
  sheet_onset: int | None  # Before any fix; folders of some releases are named by it.
  onset: int
  apex: int
  offset: int
  labels: tuple[int, ...]  # 0 or 1 in the order of `labels.AUS`.
  aus: str
  emotion: str

  @property
  def place(self) -> str:
    """Subject and clip, as messages name them."""
    return f"{self.subject}/{self.name}"


@dataclasses.dataclass
class Annotations:
  """The clips of one workbook, and lines on everything else that was found in it.

  rows: how many rows name a clip.
  problems: lines on rows that were left out.
  fixes: lines on cells that were corrected.
  notes: lines on what was not read, and on fixes that were not applied.
  lacking: subject/clip of every clip that is known by name and not among `clips`.
  """

  workbook: Path
  rows: int
  clips: list[Clip]
  problems: list[str]
  fixes: list[str]
  notes: list[str]
  lacking: list[str]


def read_annotations(workbook: Path, layout: Layout, fix: bool = True) -> Annotations:
  """Reads the clips of a workbook; a row that cannot be used is a line in `problems`.

  Args:
    workbook: an .xlsx file with the columns of `layout`, in any revision's spelling.
    layout: of the database.
    fix: whether to apply the known fixes of the licensed workbooks.

  Raises:
    UserError: the file cannot be opened, or a column that is needed is missing.
  """
  found = read_rows(workbook, read_sheet(workbook, layout), layout)
  result = Annotations(
    workbook, len(found.rows), [], found.problems, [], found.notes, []
  )
  onsets = {id(row): row.frame("onset") for row in found.rows}
  if fix:
    fixed = apply_fixes(found.rows, layout.key)
    result.fixes = fixed.fixes
    result.notes += [f"{workbook.name}: {note}" for note in fixed.notes]
    result.lacking += fixed.absent
  seen: dict[tuple, int] = {}
  for row in found.rows:
    place = f"{workbook.name} row {row.index} ({row.place})"
    try:
      clip = _to_clip(row, layout, onsets[id(row)])
    except ValueError as error:
      result.problems.append(f"{place}: {error}; {ADVICE}")
      result.lacking.append(row.place)
      continue
    same = _identity(clip, layout)
    if same in seen:
      result.problems.append(f"{place}: repeats row {seen[same]}; {ADVICE}")
      continue
    seen[same] = row.index
    result.clips.append(clip)
  return result


def _identity(clip: Clip, layout: Layout) -> tuple:
  """Makes a key that is equal for two rows of the same clip."""
  # CAS(ME)^3 cuts several clips out of one recording.
  frames = (clip.onset, clip.apex, clip.offset) if layout.repeats_names else ()
  return (clip.subject, clip.filename, *frames)


def _to_clip(row: Row, layout: Layout, sheet_onset: int | None) -> Clip:
  onset, apex, offset = (
    frame_number(row.cells[field], field) for field in ("onset", "apex", "offset")
  )
  if not onset <= apex <= offset:
    raise ValueError(
      f"apex {apex} is outside the clip, onset {onset} to offset {offset}"
    )
  marked = parse_aus(row.cells["aus"])
  positive = {au for au in marked if not marked[au]}
  if layout.au_columns:
    # Binary columns are the labels; (k) in the text sets an AU to 0, as CD6ME does.
    positive = {au for au, cell in row.marks.items() if is_set(cell, f"AU{au}")}
    positive -= {au for au in marked if marked[au]}
  return Clip(
    database=layout.key,
    subject=row.subject,
    name=row.name,
    filename=row.filename,
    number=row.number,
    row=row.index,
    sheet_onset=sheet_onset,
    onset=onset,
    apex=apex,
    offset=offset,
    labels=tuple(int(au in positive) for au in AUS),
    aus=cell_text(row.cells["aus"]),
    emotion=cell_text(row.cells["emotion"]).lower()[:MOST_EMOTION],
  )
