"""What lies in a folder, without what operating systems and archives leave there."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

JUNK = ("__macosx", "thumbs.db", "desktop.ini")
# Folders of one subject or clip: neither a release nor a workbook lies in them.
SUBJECT = re.compile(r"(sub|sp\W*no|s)[\W_]*\d|\d+(_|$)", re.IGNORECASE)


def plain(name: object) -> str:
  """A name without case, spaces and punctuation, for comparing spellings."""
  return re.sub(r"[^a-z0-9]", "", str(name).lower())


def folders_in(folder: Path) -> list[Path]:
  """The folders in a folder, by name; links to folders count.

  Raises:
    OSError: it cannot be listed.
  """
  return [path for path, is_folder in _entries(folder) if is_folder]


def files_in(folder: Path) -> list[Path]:
  """The files in a folder, by name; links to files count, broken ones do not.

  Raises:
    OSError: it cannot be listed.
  """
  return [path for path, is_folder in _entries(folder) if not is_folder]


def _entries(folder: Path) -> list[tuple[Path, bool]]:
  found = []
  with os.scandir(folder) as entries:
    for entry in entries:
      if entry.name.startswith((".", "~$")) or entry.name.lower() in JUNK:
        continue
      try:
        if entry.is_dir() or entry.is_file():  # Neither a pipe nor a broken link.
          found.append((Path(entry.path), entry.is_dir()))
      except OSError:  # A link that leads in a circle.
        continue
  return sorted(found)


def folders_below(
  folder: Path, depth: int, skip: Callable[[str], bool] = lambda name: False
) -> Iterator[Path]:
  """A folder and those below it, the upper ones first; no subject's or clip's.

  Folders that cannot be listed are yielded, but what is in them is not.

  Args:
    folder: where to begin.
    depth: how many levels below it are listed.
    skip: says by its name which folder to pass over, with all that is in it.
  """
  level = [folder]
  for _ in range(depth + 1):
    yield from level
    inner = (path for outer in level for path in _readable(outer))
    level = [p for p in inner if not SUBJECT.match(p.name) and not skip(p.name)]


def _readable(folder: Path) -> list[Path]:
  try:
    return folders_in(folder)
  except OSError:
    return []
