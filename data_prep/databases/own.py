"""Opens a user's own annotated clips, which a CSV file lists, as databases.

The file has a line per clip, with the columns database, subject, clip, path (a folder
of frames or a video, relative to the CSV file), onset, apex, offset and AUs, and
optionally fps and emotion. Frames in a folder are numbered by the last number in their
names, those of a video from 0.
"""

import csv
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from data_prep.databases.annotations.aus import parse_aus
from data_prep.databases.annotations.cells import cell_text, frame_number, shown
from data_prep.databases.annotations.clips import MOST_EMOTION, Clip
from data_prep.databases.database import Database
from data_prep.databases.find import simulated_source
from data_prep.databases.frames import (
  KeyFrames,
  key_frames,
  number_frames,
)
from data_prep.databases.listing import plain
from infusenet_jax.clips.frames.files import IMAGES
from infusenet_jax.clips.frames.video import Video
from infusenet_jax.clips.labels import AUS, NAME_RULE, is_own_database
from infusenet_jax.runtime.errors import UserError

NEEDED = ("database", "subject", "clip", "path", "onset", "apex", "offset", "aus")
OPTIONAL = ("fps", "emotion")
SPELLINGS = {"au": "aus", "actionunits": "aus"}
MOST_BYTES = 64_000_000
MOST_NAME = 1000  # Characters of a name or a path.
MOST_FPS = 10_000
ASSUMED_FPS = 30.0  # Frames a second, if the CSV file does not tell and it is no video.
ADVICE = "the line is left out until that is put right"


class VideoFrames(Mapping):
  """A mapping from each frame number of a video, from 0, to the video's path."""

  def __init__(self, path: Path, count: int):
    self._path, self._numbers = path, range(count)

  def __getitem__(self, number: int) -> Path:
    if number not in self._numbers:
      raise KeyError(number)
    return self._path

  def __iter__(self):
    return iter(self._numbers)

  def __len__(self) -> int:
    return len(self._numbers)


@dataclasses.dataclass(frozen=True)
class Media:
  """The numbered frames at a path: image files, or the frames of a video.

  files: frame number -> file.
  fps: frames a second; 0.0 if unknown.
  video: whether the path is a video.
  """

  files: Mapping[int, Path]
  fps: float
  video: bool

  def key_frames(self, clip: Clip, fps: float, cropped: bool) -> KeyFrames:
    """Chooses a clip's key frames; raises as the function `key_frames` does."""
    keys = key_frames(clip, self.files, fps, cropped)
    return dataclasses.replace(keys, video=self.video)

  def missing(self, clip: Clip) -> int:
    """Counts the frames between onset and offset that are missing."""
    if self.video:
      return max(0, clip.offset + 1 - len(self.files))
    there = sum(clip.onset <= number <= clip.offset for number in self.files)
    return clip.offset - clip.onset + 1 - there


def open_own(file: Path, cropped: bool = False) -> list[tuple[str, Database | str]]:
  """Reads the clips that a CSV file lists.

  Args:
    file: the CSV file, in UTF-8, with a header.
    cropped: the frames are faces already cropped.

  Returns:
    (name, database) of each database, in the file's order. For one that cannot be built
    it is (name, a line that says why).

  Raises:
    UserError: the file cannot be read, or lacks a column.
  """
  lines: dict[str, list[tuple[int, dict]]] = {}
  for number, row in _rows(file):
    lines.setdefault(row["database"], []).append((number, row))
  if not lines:
    raise UserError(f"{file}: lists no clips; expected one line per clip")
  opened = [(key, _open(file, key, rows, cropped)) for key, rows in lines.items()]
  return [(shown(key)[1:-1], database) for key, database in opened]


def _rows(file: Path) -> Iterator[tuple[int, dict]]:
  """Yields (line number, cells by column) of every line that is not empty."""
  try:
    if file.stat().st_size > MOST_BYTES:
      raise UserError(f"--own {file}: larger than {MOST_BYTES / 1e6:.0f} MB")
    with open(file, newline="", encoding="utf-8-sig") as stream:
      reader = csv.reader(stream, strict=True)
      names = [plain(name) for name in next(reader, ())]
      names = [SPELLINGS.get(name, name) for name in names]
      missing = [name for name in NEEDED if name not in names]
      if missing:
        raise UserError(
          f"--own {file}: lacks the column {', '.join(missing)}; expected a header with"
          f" {', '.join(NEEDED)}, separated by commas"
        )
      at = {name: names.index(name) for name in (*NEEDED, *OPTIONAL) if name in names}
      for cells in reader:
        if any(cell.strip() for cell in cells):
          cells += [""] * (len(names) - len(cells))
          yield reader.line_num, {name: cells[i].strip() for name, i in at.items()}
  except OSError as error:
    raise UserError(f"--own {file}: cannot be read ({error.strerror})") from error
  except (UnicodeDecodeError, csv.Error) as error:
    raise UserError(f"--own {file}: is not a CSV file in UTF-8 ({error})") from error


def _open(
  file: Path, key: str, rows: list[tuple[int, dict]], cropped: bool
) -> Database | str:
  if not is_own_database(key):
    return f"{file} line {rows[0][0]}: database is {shown(key)}; expected {NAME_RULE}"
  database = Database(
    key=key,
    name=key,
    folder=file.parent,
    source={},
    annotated=len(rows),
    taken=[f"{file.name}, {len(rows)} clips"],
  )
  seen: dict[tuple[str, str], int] = {}
  media: dict[Path, Media] = {}
  assumed = 0
  for number, row in rows:
    place = f"{file.name} line {number}"
    try:
      clip = _clip(row, number)
      if (clip.subject, clip.name) in seen:
        raise ValueError(f"repeats line {seen[clip.subject, clip.name]}")
      seen[clip.subject, clip.name] = number
      path = file.parent / clip.filename
      if path not in media:
        media[path] = _media(path)
      fps = _fps(row.get("fps", "")) or media[path].fps
      assumed += not fps
      keys = media[path].key_frames(clip, fps or ASSUMED_FPS, cropped)
      database.source = database.source or simulated_source(path.parent)
    except UserError as error:
      return str(error)
    except (ValueError, OSError) as error:
      database.problems.append(f"{place}: {error}; {ADVICE}")
      names = (shown(row[field])[1:-1] for field in ("subject", "clip"))
      database.lacking.append("/".join(names))
      continue
    if keys.note:
      database.notes.append(f"{place} ({clip.place}): {keys.note}")
    database.clips.append(keys)
    database.missing_frames += media[path].missing(clip)
  if not database.clips:
    return f"{file}: no clip of {key} can be built; {database.problems[0]}"
  if assumed:
    database.notes.append(
      f"{key}: {assumed} clips have no fps; {ASSUMED_FPS:g} frames a second are assumed"
    )
  videos = sum(keys.video for keys in database.clips)
  kind = "cropped faces" if cropped else "full frames"
  database.taken.append(
    f"{kind}: {len(database.clips) - videos} folders of frames, {videos} videos"
  )
  return database


def _clip(row: dict[str, str], line: int) -> Clip:
  for field in ("subject", "clip", "path"):
    if not row[field]:
      raise ValueError(f"{field} is empty")
    if not row[field].isprintable() or len(row[field]) > MOST_NAME:
      raise ValueError(f"{field} is {shown(row[field])}, expected a name on one line")
  onset, apex, offset = (frame_number(row[f], f) for f in ("onset", "apex", "offset"))
  if not onset <= apex <= offset:
    raise ValueError(
      f"apex {apex} is outside the clip, onset {onset} to offset {offset}"
    )
  marked = parse_aus(row["aus"])
  return Clip(
    database=row["database"],
    subject=row["subject"],
    name=row["clip"],
    filename=row["path"],
    number=0,
    row=line,
    sheet_onset=None,
    onset=onset,
    apex=apex,
    offset=offset,
    labels=tuple(int(marked.get(au) is False) for au in AUS),
    aus=cell_text(row["aus"]),
    emotion=row.get("emotion", "").lower()[:MOST_EMOTION],
  )


def _fps(text: str) -> float:
  """Reads a cell with frames a second; 0.0 if it is empty."""
  if not text:
    return 0.0
  try:
    fps = float(text)
  except ValueError:
    fps = 0.0
  if not 0 < fps <= MOST_FPS:
    raise ValueError(f"fps is {shown(text)}, expected a number from 1 to {MOST_FPS}")
  return fps


def _media(path: Path) -> Media:
  if path.is_dir():
    files = number_frames(path)
    if not files:
      raise ValueError(f"no frames in {path}")
    return Media(files, 0.0, False)
  if path.suffix.lower() in IMAGES:
    raise ValueError(f"{path}: a picture; expected a folder of frames or a video")
  video = Video(path)
  return Media(VideoFrames(path, video.count), video.fps, True)
