"""Opens what the flags of `check` and `build` name: one source per database."""

import dataclasses
from pathlib import Path

from data_prep.databases.database import Database, open_database
from data_prep.databases.find import find_databases, read_simulated
from data_prep.databases.own import open_own
from infusenet_jax.clips.labels import DATABASES, database_name
from infusenet_jax.runtime.errors import UserError


@dataclasses.dataclass(frozen=True)
class Source:
  """A database that was opened, or a line that says why it could not be."""

  key: str
  database: Database | None
  failure: str = ""

  @property
  def name(self) -> str:
    return database_name(self.key)


@dataclasses.dataclass(frozen=True)
class Sources:
  """All sources in the order of the folds.

  notes: lines about folders that were not read.
  absent: keys of the six databases without a folder; [] if the user asked for certain
    databases only.
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
    root: the folder that holds the databases' folders.
    wanted: keys of the databases to open; all that are found if None.
    cropped: whether to take the releases of cropped faces.
    workbooks: {key: workbook to use in place of the one that would be found}.
    needs_frames: whether a database must have frames.

  Raises:
    UserError: nothing can be opened at all.
  """
  read_simulated(root)  # Raises the errors of the root itself first.
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
  """Lists in lines which workbook and frames were taken, and which fixes apply."""
  lines = [f"{database.complete_name}, {database.folder}"]
  lines += [f"  {line}" for line in database.taken]
  if database.fixes:
    lines.append("  fixes, where a cell says something else and the frames then fit:")
    lines += [f"    {line}" for line in database.fixes]
  return lines
