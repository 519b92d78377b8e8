"""How names of folders are compared, and which folders are searched."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from infusenet_jax.runtime.folders import folders_in

# Folders of one subject or clip: neither a release nor a workbook lies in them.
SUBJECT = re.compile(r"(sub|sp\W*no|s)[\W_]*\d|\d+(_|$)", re.IGNORECASE)


def plain(name: object) -> str:
  """A name without case, spaces and punctuation, for comparing spellings."""
  return re.sub(r"[^a-z0-9]", "", str(name).lower())


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
