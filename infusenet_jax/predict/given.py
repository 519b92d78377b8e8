"""Intervals that a person gives: with flags, or in a CSV file."""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infusenet_jax.predict.findings import Frames, Spot
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.text import plain_text

NEEDED = ("onset", "apex", "offset")
MOST_BYTES = 64_000_000
KIND = "given"


@dataclass(frozen=True)
class Given:
  """One interval, by the numbers of its frames."""

  onset: int
  apex: int
  offset: int
  place: str  # Where it was given, for messages.

  def __post_init__(self):
    """Raises UserError where the numbers are not in order."""
    if not 0 <= self.onset <= self.apex <= self.offset:
      raise UserError(
        f"{self.place}: onset {self.onset}, apex {self.apex}, offset {self.offset};"
        " expected frame numbers from 0, in this order"
      )


@dataclass(frozen=True)
class IntervalsFile:
  """A table of intervals, of one video or of several."""

  path: Path
  by_file: dict[str | None, list[Given]]  # None where the table names no file.
  digest: str

  def of(self, name: str, alone: bool = True) -> list[Given]:
    """The intervals of a video.

    Args:
      name: of its file or folder.
      alone: whether there are no other videos, whose intervals these could be.

    Raises:
      UserError: it is not known which video's they are, or they are another's.
    """
    if None in self.by_file:
      if not alone:
        raise UserError(
          f"--intervals {self.path}: names no videos; for several of them it needs a"
          " column file"
        )
      return self.by_file[None]
    if alone and name not in self.by_file:
      raise UserError(
        f"--intervals {self.path}: lists no intervals of {name}, but of"
        f" {', '.join(map(str, list(self.by_file)[:3]))}; correct its column file"
      )
    return self.by_file.get(name, [])


def read_intervals(path: Path) -> IntervalsFile:
  """Reads intervals.csv, as it was written or corrected, or a table of one's own.

  Needed are the columns onset, apex and offset; where there is a column file, each
  video gets the lines that name it. Separators may be commas, semicolons or tabs, since
  spreadsheets write what their country uses. All other columns are passed over.

  Raises:
    UserError: it cannot be read, lacks a column, or a line is not an interval.
  """
  try:
    if path.stat().st_size > MOST_BYTES:
      raise UserError(f"--intervals {path}: larger than {MOST_BYTES / 1e6:.0f} MB")
    data = path.read_bytes()
    text = data.decode("utf-8-sig")
  except OSError as error:
    raise UserError(f"--intervals {path}: cannot be read ({error.strerror})") from error
  except UnicodeDecodeError as error:
    raise UserError(
      f"--intervals {path}: is not text in UTF-8; save it as CSV UTF-8"
    ) from error
  heading = text.split("\n", 1)[0]
  separator = max(",;\t", key=heading.count)
  by_file: dict[str | None, list[Given]] = {}
  try:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    names = [name.strip().lower() for name in next(reader, ())]
    missing = [name for name in NEEDED if name not in names]
    if missing:
      raise UserError(
        f"--intervals {path}: lacks the column {', '.join(missing)}; expected a header"
        f" with {', '.join(NEEDED)}, as in intervals.csv"
      )
    for cells in reader:
      if not any(cell.strip() for cell in cells):
        continue
      cells += [""] * (len(names) - len(cells))
      row = dict(zip(names, cells, strict=False))
      place = f"--intervals {path} line {reader.line_num}"
      numbers = [_frame(row[name], name, place) for name in NEEDED]
      file = plain_text(row["file"].strip()) if "file" in names else None
      by_file.setdefault(file, []).append(Given(*numbers, place))
  except csv.Error as error:
    raise UserError(f"--intervals {path}: is not a CSV file ({error})") from error
  if not by_file:
    raise UserError(f"--intervals {path}: lists no intervals, expected one a line")
  return IntervalsFile(path, by_file, hashlib.sha256(data).hexdigest()[:16])


def _frame(cell: str, name: str, place: str) -> int:
  try:
    number = float(cell)
    if number == int(number):
      return int(number)
  except (ValueError, OverflowError):
    pass
  raise UserError(f"{place}: {name} is {cell!r}, expected the number of a frame")


def to_spots(given: Sequence[Given], frames: Frames) -> list[Spot]:
  """The intervals as rows of `frames`, in order of time.

  Raises:
    UserError: a frame is not there.
  """
  rows = {int(number): row for row, number in enumerate(frames.number)}
  spots = []
  for one in given:
    for name in NEEDED:
      if (number := getattr(one, name)) not in rows:
        raise UserError(
          f"{one.place}: {name} is frame {number}, but the frames that could be read"
          f" are {frames.number[0]} to {frames.number[-1]}"
        )
    onset, apex, offset = (rows[getattr(one, name)] for name in NEEDED)
    moving = frames.motion[onset : offset + 1]
    score = np.nanmax(moving, initial=0.0, where=np.isfinite(moving))
    spots.append(Spot(onset, apex, offset, KIND, float(score)))
  return sorted(spots, key=lambda spot: (spot.onset, spot.apex, spot.offset))
