"""What the flags of `check` and `build` point at, opened: one source per database."""

import dataclasses
from pathlib import Path

from data_prep.databases.database import Database, open_database
from data_prep.databases.find import find_databases, read_simulated
from data_prep.databases.own import open_own
from infusenet_jax.clips.labels import DATABASES, database_name
from infusenet_jax.runtime.errors import UserError


@dataclasses.dataclass(frozen=True)
class Source:
  """A database that was opened, or the line that says why it was not."""

  key: str
  database: Database | None
  failure: str = ""

  @property
  def name(self) -> str:
    return database_name(self.key)


@dataclasses.dataclass(frozen=True)
class Sources:
  """All sources in the order of the folds, and lines about what was left alone.

  absent: keys of the six for which there is no folder, where all were wanted.
  """

  sources: list[Source]
  notes: list[str]
  absent: list[str]


def open_root(
  root: Path,
  wanted: list[str] | None = None,
  cropped: bool = False,
  workbooks: dict[str, Path] | None = None,
  needs_frames: bool = True,
) -> Sources:
  """Opens the databases in a folder.

  Args:
    root: holds the databases' folders.
    wanted: keys; all that are found if None.
    cropped: take the releases of cropped faces.
    workbooks: workbooks to use in place of those that would be found, by key.
    needs_frames: whether a database must have frames.

  Raises:
    UserError: nothing can be opened at all.
  """
  read_simulated(root)  # Complains about the root before anything else does.
  found = find_databases(root, wanted)
  unused = [key for key in workbooks or () if key not in found.folders]
  if unused:
    raise UserError(
      f"--workbook {unused[0]}: {root} holds no folder of {DATABASES[unused[0]]}, or"
      " --databases leaves it out"
    )
  sources = []
  for key, folder in found.folders.items():
    try:
      workbook = (workbooks or {}).get(key)
      database = open_database(key, folder, cropped, workbook, needs_frames)
      sources.append(Source(key, database))
    except UserError as error:
      sources.append(Source(key, None, str(error)))
  absent = [] if wanted else [key for key in DATABASES if key not in found.folders]
  return Sources(sources, found.notes, absent)


def open_file(file: Path, cropped: bool = False) -> Sources:
  """Opens the clips that a CSV file of the user's own lists; see `databases.own`.

  Raises:
    UserError: the file cannot be read or lists no clips.
  """
  sources = [
    Source(key, None, found) if isinstance(found, str) else Source(key, found)
    for key, found in open_own(file, cropped)
  ]
  return Sources(sources, [], [])


def describe(database: Database) -> list[str]:
  """What was taken for a database and which fixes apply, for the terminal."""
  lines = [f"{database.complete_name}, {database.folder}"]
  lines += [f"  {line}" for line in database.taken]
  if database.fixes:
    lines.append("  fixes, where a cell says something else and the frames then fit:")
    lines += [f"    {line}" for line in database.fixes]
  return lines
