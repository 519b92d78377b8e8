"""What lies in a folder, without what operating systems and archives leave there."""

import os
from pathlib import Path

JUNK = ("__macosx", "thumbs.db", "desktop.ini")


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
