"""Which videos a command is to look at, and where what is found of each goes."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from infusenet_jax.clips.frames.files import frame_files
from infusenet_jax.predict.watch.video import VIDEOS
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.folders import files_in, folders_in


@dataclass(frozen=True)
class Job:
  """A video file or a folder of frames, and the folder for its outputs."""

  path: Path
  out: Path

  @property
  def name(self) -> str:
    return self.path.resolve().name

  def fingerprint(self) -> list[int]:
    """Changes with the file, or with the files of the folder."""
    files = files_in(self.path) if self.path.is_dir() else [self.path]
    stats = [file.stat() for file in files]
    newest = max((stat.st_mtime_ns for stat in stats), default=0)
    return [len(stats), sum(stat.st_size for stat in stats), newest]


def find_jobs(paths: Sequence[Path], out: Path | None) -> tuple[list[Job], Path]:
  """The videos that some paths name, and the folder that holds all outputs.

  A single video's outputs go to `out` itself, else each video gets a folder in it.

  Args:
    paths: videos, folders of frames, and folders that hold any of these.
    out: as the user named it; by default `predictions`, and a single video gets a
      folder in that.

  Raises:
    UserError: a path does not exist, or a folder holds nothing to look at.
  """
  found = list(dict.fromkeys(video for path in paths for video in _videos(path)))
  top = out or Path("predictions")
  if len(paths) == 1 and found == [paths[0]]:
    folder = out or top / paths[0].resolve().name
    return [Job(found[0], folder)], folder
  names = Counter(path.resolve().name.lower() for path in found)
  return [Job(path, top / _folder_name(path, names)) for path in found], top


def _folder_name(path: Path, names: Counter) -> str:
  """A video's name; of two with one name each gets a few letters more."""
  path = path.resolve()
  if names[path.name.lower()] == 1:
    return path.name
  return f"{path.name}-{hashlib.sha256(str(path).encode()).hexdigest()[:6]}"


def _videos(path: Path) -> Iterator[Path]:
  if not path.exists():
    raise UserError(f"{path}: no such file or folder; expected a video or frames")
  if not path.is_dir():
    yield path
    return
  found = list(_below(path))
  if not found:
    raise UserError(
      f"{path}: holds neither videos ({', '.join(VIDEOS[:6])}, ...) nor frames with"
      " numbers in their names, such as img001.jpg"
    )
  yield from found


def _below(folder: Path) -> Iterator[Path]:
  """The videos and the folders of frames in a folder and in those below it."""
  try:
    videos = [f for f in files_in(folder) if f.suffix.lower() in VIDEOS]
    frames, folders = frame_files(folder), folders_in(folder)
  except OSError as error:
    raise UserError(f"{folder}: cannot be listed ({error.strerror})") from error
  if videos and len(frames) > 1:
    raise UserError(
      f"{folder}: holds frames ({frames[0].name}) beside videos ({videos[0].name});"
      " name the videos themselves, or put the frames in a folder of their own"
    )
  if videos:
    yield from videos
  elif frames:
    yield folder
    return
  for inner in folders:
    yield from _below(inner)
