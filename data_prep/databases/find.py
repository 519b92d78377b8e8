"""A root folder of databases -> what of each can be built, and what cannot."""

import dataclasses
import json
from pathlib import Path

from data_prep.databases.annotations import Annotations, read_annotations
from data_prep.databases.frames import FrameFinder, KeyFrames, key_frames
from data_prep.databases.layouts import LAYOUTS, Layout, plain
from infusenet_jax.runtime.errors import UserError

SIMULATED = "SIMULATED.json"
UNFINISHED = "SIMULATED.partial.json"


@dataclasses.dataclass
class Database:
  """One database as found on disk. Lines name file and row or clip."""

  layout: Layout
  folder: Path
  annotations: Annotations
  clips: list[KeyFrames]
  skipped: list[str]  # Clips whose frames are missing.
  notes: list[str]  # Frames that stand in for missing ones.
  missing_frames: int  # Within the clips that were found.

  @property
  def subjects(self) -> int:
    return len({key.clip.subject for key in self.clips})

  @property
  def problems(self) -> list[str]:
    return self.annotations.problems + self.skipped


def read_simulated(root: Path) -> dict:
  """The content of ROOT/SIMULATED.json; {} for licensed databases.

  Raises:
    UserError: the root is missing, or its simulation is unfinished or unreadable.
  """
  if not root.is_dir():
    raise UserError(
      f"{root}: no such folder; --root is the folder that holds the databases"
      " (write simulated ones with `python -m data_prep simulate --out DIR`)"
    )
  if (root / UNFINISHED).exists():
    raise UserError(
      f"{root}: its simulation was not finished ({UNFINISHED} is there); run the same"
      " `python -m data_prep simulate` again, it goes on where it stopped"
    )
  if not (root / SIMULATED).exists():
    return {}
  try:
    source = json.loads((root / SIMULATED).read_text())
  except (OSError, ValueError) as error:
    raise UserError(
      f"{root / SIMULATED}: not readable JSON ({error}); simulate again"
    ) from error
  if not source or not isinstance(source, dict):
    raise UserError(f"{root / SIMULATED}: does not say how; simulate again")
  return source


def find_databases(root: Path, wanted: list[str] | None) -> dict[str, Path]:
  """Folders of the databases below `root`, by key, in the order of the folds.

  Raises:
    UserError: none was found, or one of `wanted` was not.
  """
  names = {plain(p.name): p for p in sorted(root.iterdir()) if p.is_dir()}
  found = {}
  for key, layout in LAYOUTS.items():
    for folder in layout.folders:
      if plain(folder) in names:
        found[key] = names[plain(folder)]
        break
  missing = [key for key in wanted or () if key not in found]
  if missing or not found:
    looked = " or ".join(
      f"{LAYOUTS[key].folders[0]!r}" for key in (missing or list(LAYOUTS))
    )
    held = ", ".join(sorted(p.name for p in root.iterdir())[:12]) or "nothing"
    raise UserError(f"{root}: no folder named {looked}; it holds {held}")
  return {key: found[key] for key in found if not wanted or key in wanted}


def find_workbook(folder: Path, layout: Layout) -> Path:
  """The annotation workbook of a database: a known name, else the only .xlsx.

  Raises:
    UserError: there is none, or several unknown ones.
  """
  books = {
    plain(path.name): path
    for pattern in ("*.xlsx", "*/*.xlsx")
    for path in sorted(folder.glob(pattern), reverse=True)
    if not path.name.startswith(("~", "."))
  }
  for name in layout.workbooks:
    if plain(name) in books:
      return books[plain(name)]
  if len(books) == 1:
    return next(iter(books.values()))
  held = ", ".join(sorted(path.name for path in books.values())) or "no .xlsx file"
  raise UserError(
    f"{folder}: no annotation workbook; looked for {' or '.join(layout.workbooks)},"
    f" found {held}"
  )


def open_database(
  key: str, folder: Path, simulated: bool = False, cropped: bool = False
) -> Database:
  """Reads the workbook and finds the key frames of every clip.

  Raises:
    UserError: nothing of this database can be built; one line that says why.
  """
  layout = LAYOUTS[key]
  workbook = find_workbook(folder, layout)
  # The fixes correct slips of the licensed workbooks, which simulated ones lack.
  annotations = read_annotations(workbook, layout, fix=not simulated)
  if not annotations.clips:
    problem = annotations.problems[:1] or ["the sheet has no rows below its header"]
    raise UserError(f"{workbook}: no usable clip; {problem[0]}")
  finder = FrameFinder(folder, layout, cropped)
  database = Database(layout, folder, annotations, [], [], [], 0)
  for clip in annotations.clips:
    place = f"{workbook.name} row {clip.row} ({clip.subject}/{clip.name})"
    try:
      release, frames = finder.find(clip)
      keys = key_frames(clip, release, frames, layout.fps, cropped)
    except FileNotFoundError as error:
      database.skipped.append(f"{place}: {error}; the clip is left out")
      continue
    if keys.note:
      database.notes.append(f"{place}: {keys.note}")
    database.clips.append(keys)
    database.missing_frames += sum(
      n not in frames for n in range(clip.onset, clip.offset + 1)
    )
  if not database.clips:
    raise UserError(
      f"{folder}: {workbook.name} is there, but none of its"
      f" {len(annotations.clips)} clips has frames; {database.skipped[0]}"
    )
  return database
