"""Frames that are files of a folder, and what number each has."""

import re
from pathlib import Path

from infusenet_jax.runtime.folders import files_in

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff")

_COPY = re.compile(r"(?i)^copy of | - copy( \(\d+\))?$|(?<=\d) ?\(\d+\)$")


def frame_files(folder: Path) -> list[Path]:
  """The images of a folder that have a number in their name, by name.

  Raises:
    OSError: the folder cannot be listed.
  """
  return [
    path
    for path in files_in(folder)
    if path.suffix.lower() in IMAGES and re.search(r"(?a)\d", path.stem)
  ]


def without_copies(files: list[Path]) -> list[Path]:
  """The files whose names are not those of copies; all, where all are called so.

  Where all are called "S01 (46)", the number in brackets counts frames, not copies.
  """
  return [path for path in files if not _COPY.search(path.stem)] or files


def frame_number(file: Path) -> int:
  """A frame's number: the last one in its file's name."""
  return int(re.findall(r"(?a)\d+", file.stem)[-1])
