"""Intervals that a person gives: with flags, or in a CSV file."""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infusenet_jax.predict.elan import Timed, from_elan
from infusenet_jax.predict.findings import Frames, Spot
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.text import plain_text

NEEDED = ("onset", "apex", "offset")
MOST_BYTES = 64_000_000
KIND = "given"
LATE = 0.5  # Seconds that an annotation may go on after the last frame.


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
  # None where the table names no file.
  by_file: dict[str | None, list[Given | Timed]]
  digest: str

  def of(self, name: str, alone: bool = True) -> list[Given | Timed]:
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

  What ELAN exports is read too (`elan`), as intervals of one video. Else needed are the
  columns onset, apex and offset; where there is a column file, each video gets the
  lines that name it. Separators may be commas, semicolons or tabs, since spreadsheets
  write what their country uses. All other columns are passed over.

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
  digest = hashlib.sha256(data).hexdigest()[:16]
  heading = text.split("\n", 1)[0]
  separator = max(",;\t", key=heading.count)
  by_file: dict[str | None, list[Given]] = {}
  try:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    names = [name.strip().lower() for name in next(reader, ())]
    missing = [name for name in NEEDED if name not in names]
    if len(missing) == len(NEEDED) and (timed := from_elan(text, path)):
      return IntervalsFile(path, {None: timed}, digest)
    if missing:
      raise UserError(
        f"--intervals {path}: lacks the column {', '.join(missing)}; expected a header"
        f" with {', '.join(NEEDED)}, as in intervals.csv, or an export of ELAN's"
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
  return IntervalsFile(path, by_file, digest)


def _frame(cell: str, name: str, place: str) -> int:
  try:
    number = float(cell)
    if number == int(number):
      return int(number)
  except (ValueError, OverflowError):
    pass
  raise UserError(f"{place}: {name} is {cell!r}, expected the number of a frame")


def to_spots(given: Sequence[Given | Timed], frames: Frames) -> list[Spot]:
  """The intervals as rows of `frames`, in order of time.

  An apex that was not marked is the frame in which the face has moved most since the
  onset; where no face is followed, the one in the middle.

  Raises:
    UserError: a frame is not there, or an interval is not within the video.
  """
  rows = {int(number): row for row, number in enumerate(frames.number)}
  spots = []
  for one in given:
    if isinstance(one, Timed):
      onset, apex, offset = _rows_at(one, frames)
    else:
      onset, apex, offset = _rows_of(one, rows, frames)
    moving = frames.motion[onset : offset + 1]
    score = np.nanmax(moving, initial=0.0, where=np.isfinite(moving))
    spots.append(Spot(onset, apex, offset, KIND, float(score)))
  return sorted(spots, key=lambda spot: (spot.onset, spot.apex, spot.offset))


def _rows_of(one: Given, rows: dict[int, int], frames: Frames) -> list[int]:
  for name in NEEDED:
    if (number := getattr(one, name)) not in rows:
      raise UserError(
        f"{one.place}: {name} is frame {number}, but the frames that could be read"
        f" are {frames.number[0]} to {frames.number[-1]}"
      )
  return [rows[getattr(one, name)] for name in NEEDED]


def _rows_at(one: Timed, frames: Frames) -> tuple[int, int, int]:
  """The frames nearest to an interval's times."""
  last = float(frames.seconds[-1])
  if one.onset > one.offset or one.offset > last + LATE:
    raise UserError(
      f"{one.place}: from {one.onset:.3f} to {one.offset:.3f} s; expected times in this"
      f" order, within the video's {last:.3f} s"
    )
  onset, offset = (
    int(np.abs(frames.seconds - seconds).argmin())
    for seconds in (one.onset, one.offset)
  )
  if one.apex is None:
    return onset, onset + _most_moved(frames, onset, offset), offset
  shown = int(np.searchsorted(frames.seconds, one.apex, "right")) - 1
  return onset, min(max(shown, onset), offset), offset


def _most_moved(frames: Frames, onset: int, offset: int) -> int:
  """Frames from an onset to where the face's points are furthest from there."""
  middle = (offset - onset) // 2
  if frames.path is None:
    return middle
  away = frames.path[onset : offset + 1] - frames.path[onset]
  moved = np.square(away).sum((1, 2))
  return int(np.nanargmax(moved)) if np.isfinite(moved).any() else middle
