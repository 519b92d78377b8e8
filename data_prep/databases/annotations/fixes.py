"""Known errors in the licensed workbooks and how CD6ME corrects them, as data.

Every fix names a subject and a clip, since row numbers differ between revisions. It is
applied only if the cell says something else and the frame numbers are in order
afterwards (in a workbook that was sorted, a name may belong to another row), and, if
the fix has a `row_onset`, only to the row with that onset. Simulated workbooks have no
such errors.
"""

import dataclasses
import re

from data_prep.databases.annotations.aus import parse_aus
from data_prep.databases.annotations.cells import cell_text, is_set, shown
from data_prep.databases.annotations.rows import Row


@dataclasses.dataclass(frozen=True)
class Fix:
  """The right values of one clip's cells; cells whose value is None are not changed."""

  subject: str
  name: str
  onset: int | None = None
  apex: int | None = None
  offset: int | None = None
  aus: str | None = None
  row_onset: int | None = None  # The onset that the right row has in the sheet.

  @property
  def cells(self) -> dict[str, int | str]:
    """The right values by field, without those that are None."""
    fields = ("onset", "apex", "offset", "aus")
    return {f: getattr(self, f) for f in fields if getattr(self, f) is not None}


FIXES: dict[str, tuple[Fix, ...]] = {
  "casme": (
    Fix("03", "EP07_1", onset=100, apex=120, offset=149),
    Fix("03", "EP09_3", onset=101, apex=110, offset=119),
    Fix("03", "EP09_4", onset=57, apex=65, offset=74),
    Fix("06", "EP02_7", offset=40),
    Fix("13", "EP13_5", offset=142),
  ),
  "casme2": (
    Fix("04", "EP12_01f", apex=279),
    Fix("05", "EP03_01", apex=68),
    Fix("05", "EP07_01", apex=77),
    Fix("05", "EP09_05f", apex=81),
    Fix("05", "EP16_04f", apex=166),
    Fix("06", "EP01_01", apex=100),
    Fix("07", "EP06_01", apex=78, offset=91),
    Fix("12", "EP09_02", apex=187),
    Fix("12", "EP09_06", apex=89),
    Fix("13", "EP09_10", apex=80),
    Fix("16", "EP01_08", apex=88),
    Fix("17", "EP03_09", apex=134),
    Fix("17", "EP06_07", apex=231),
    Fix("17", "EP13_09", apex=53),
    Fix("17", "EP15_03", apex=329),
    Fix("18", "EP19_01", apex=111),
    Fix("20", "EP16_01", apex=91),
    Fix("20", "EP16_04", apex=103),
    Fix("25", "EP09_02", apex=98),
    Fix("25", "EP12_01", apex=153),
    Fix("25", "EP18_04f", apex=98),
  ),
  "samm": (
    Fix("013", "013_1_9", offset=5739),
    Fix("028", "028_4_1", apex=1105),
    Fix("032", "032_3_1", apex=4945),
    Fix("032", "032_3_2", apex=5130),
    Fix("007", "007_6_1", aus="R12 + R15"),
    Fix("007", "007_6_5", aus="R12 + R15"),
    Fix("011", "011_4_2", aus="L14"),
    Fix("014", "014_5_2", aus="R14"),
    Fix("035", "035_7_2", aus="R14A"),
  ),
  "mmew": (
    Fix("S04", "S04-01-001", apex=40, offset=75),
    Fix("S04", "S04-02-002", apex=15, offset=54),
    Fix("S04", "S04-02-003", apex=46, offset=59),
    Fix("S04", "S04-03-001", apex=20, offset=98),
    Fix("S04", "S04-03-002", apex=25, offset=80),
    Fix("S04", "S04-03-003", apex=20, offset=93),
    Fix("S04", "S04-04-001", apex=23, offset=58),
    Fix("S04", "S04-04-002", apex=28, offset=61),
    Fix("S04", "S04-06-001", apex=32, offset=68),
    Fix("S13", "S13-01-001", apex=56, offset=88),
    Fix("S13", "S13-01-002", apex=32, offset=80),
    Fix("S13", "S13-02-001", apex=27, offset=85),
    Fix("S13", "S13-02-002", apex=22, offset=61),
    Fix("S13", "S13-02-004", apex=29, offset=108),
    Fix("S13", "S13-03-006", apex=31, offset=72),
    Fix("S13", "S13-04-001", apex=38, offset=106),
  ),
  "casme3a": (
    Fix("spNO.149", "d", apex=123),
    Fix("spNO.216", "d", onset=2647),
    Fix("spNO.216", "e", onset=1, apex=1),
    Fix("spNO.214", "c", offset=34),
    Fix("spNO.40", "e3", offset=1845, row_onset=1812),
    Fix("spNO.40", "e5", offset=2403, row_onset=2327),
  ),
}

# The right labels of two clips whose labels are swapped in some revisions.
PAIRS = {
  "fourd": ((("S49", "S49_001_01_1"), {4, 7}), (("S49", "S49_001_01_2"), {4, 7, 12}))
}


@dataclasses.dataclass
class Fixed:
  """What the fixes of a database did."""

  fixes: list[str]  # Lines on cells that were changed.
  notes: list[str]  # Lines on fixes that were not applied.
  absent: list[str]  # subject/clip of fixes whose clip the sheet lacks.


def apply_fixes(rows: list[Row], key: str) -> Fixed:
  """Applies the known fixes of a database to its rows, in place."""
  done = Fixed([], [], [])
  by_name = {(row.subject, row.name): row for row in reversed(rows)}
  for fix in FIXES.get(key, ()):
    row = _row_of(fix, rows, by_name)
    place = f"{fix.subject}/{fix.name}"
    if row is None:
      done.absent.append(place)
      if (fix.subject, fix.name) in by_name:
        done.notes.append(
          f"{place}: no row has onset {fix.row_onset}; its fix is not applied"
        )
      continue
    if fix.row_onset is not None and row.name != fix.name:
      done.notes.append(
        f"{row.place}: row {row.index} is {fix.name} in CD6ME: the workbook was sorted,"
        " so the clips that share a file name have other numbers"
      )
    _apply(fix, row, done)
  if key in PAIRS:
    _swap_back(PAIRS[key], by_name, done)
  return done


def _row_of(fix: Fix, rows: list[Row], by_name: dict) -> Row | None:
  if fix.row_onset is None:
    return by_name.get((fix.subject, fix.name))
  # The number in a repeated name (e3) depends on the sheet's order, the onset does not.
  filename = re.sub(r"\d+$", "", fix.name)
  for row in rows:
    here = (row.subject, row.filename, row.frame("onset"))
    if here == (fix.subject, filename, fix.row_onset):
      return row
  return None


def _apply(fix: Fix, row: Row, done: Fixed) -> None:
  wrong = {f: right for f, right in fix.cells.items() if _differs(row, f, right)}
  frames = [wrong.get(f, row.frame(f)) for f in ("onset", "apex", "offset")]
  if None not in frames and frames != sorted(frames):
    if wrong:
      done.notes.append(
        f"{row.place}: {_words(wrong)} would not fit row {row.index} (onset, apex and"
        f" offset {', '.join(map(str, frames))}); the fix is not applied"
      )
    return
  for field, right in wrong.items():
    old = row.cells[field]
    row.cells[field] = right
    only = f" (the row with onset {fix.row_onset})" if fix.row_onset is not None else ""
    had = shown(old)[1:-1] if cell_text(old) else "missing"
    done.fixes.append(f"{row.place}: {field} {had} -> {right}{only}")


def _differs(row: Row, field: str, right: int | str) -> bool:
  if field != "aus":
    return row.frame(field) != right
  try:
    return parse_aus(row.cells["aus"]) != parse_aus(right)
  except ValueError:
    return True


def _words(cells: dict[str, int | str]) -> str:
  return ", ".join(f"{field} {value}" for field, value in cells.items())


def _swap_back(pair, by_name: dict[tuple, Row], done: Fixed) -> None:
  """Swaps the labels of two clips, if the sheet has them the other way round."""
  done.absent += ["/".join(name) for name, _ in pair if name not in by_name]
  rows = [by_name[name] for name, _ in pair if name in by_name]
  right = [aus for name, aus in pair if name in by_name]
  if not rows:
    return
  places = " and ".join(row.place for row in rows)
  texts, columns = [_text_aus(row) for row in rows], [_column_aus(row) for row in rows]
  if texts == right and columns == right:
    done.notes.append(f"{places}: labels are in their own rows, nothing swapped")
    return
  swapped = []
  if len(rows) == 2 and columns == right[::-1]:
    rows[0].marks, rows[1].marks = rows[1].marks, rows[0].marks
    swapped.append("binary columns")
  if len(rows) == 2 and texts == right[::-1]:
    first, second = (row.cells for row in rows)
    first["aus"], second["aus"] = second["aus"], first["aus"]
    swapped.append("AU texts")
  if swapped:
    done.fixes.append(
      f"{places}: {' and '.join(swapped)} were in each other's row, swapped back"
    )
  if any(
    found not in (right, right[::-1]) or len(rows) < 2 for found in (texts, columns)
  ):
    wanted = " and ".join("+".join(map(str, sorted(aus))) for aus in right)
    done.notes.append(
      f"{places}: labels are neither those of CD6ME (AU {wanted}) nor swapped; left as"
      " they are"
    )


def _text_aus(row: Row) -> set[int] | None:
  try:
    return set(parse_aus(row.cells["aus"]))
  except ValueError:
    return None


def _column_aus(row: Row) -> set[int] | None:
  try:
    return {au for au, cell in row.marks.items() if is_set(cell, f"AU{au}")}
  except ValueError:
    return None
