"""Finds the folders of the six databases in a root folder."""

import dataclasses
import json
import re
from pathlib import Path

from data_prep.databases.annotations.workbook import workbook_files
from data_prep.databases.layouts import LAYOUTS
from data_prep.databases.listing import plain
from data_prep.databases.names import identify, other_database
from infusenet_jax.clips.labels import DATABASES
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.folders import folders_in

SIMULATED = "SIMULATED.json"
UNFINISHED = "SIMULATED.partial.json"

_STEM = re.compile(r"casme|samm|4dm|mmew")


@dataclasses.dataclass(frozen=True)
class Found:
  """The folders of the databases found.

  folders: {key: folder}, in the order of the folds.
  notes: lines about folders that look like databases and are not read.
  """

  folders: dict[str, Path]
  notes: list[str]


def find_databases(root: Path, wanted: list[str] | None) -> Found:
  """Finds the folders of the databases in `root`.

  Args:
    root: the folder that holds the databases' folders.
    wanted: keys of the databases to find; None or [] for all that are there.

  Raises:
    UserError: no database was found, or not one that is wanted, or two databases are
      links to the same folder.
  """
  inner = _folders(root)
  candidates: dict[str, list[Path]] = {key: [] for key in LAYOUTS}
  for path in inner:
    if key := identify(path.name):
      candidates[key].append(path)
  found, notes = {}, []
  for key, paths in candidates.items():
    if paths and (not wanted or key in wanted):
      found[key], *others = sorted(paths, key=lambda path: _rank(path, key))
      notes += [
        f"{other}: is {DATABASES[key]} too, by its name, and is left alone;"
        f" {found[key].name} is taken"
        for other in others
      ]
  taken = {path for paths in candidates.values() for path in paths}
  strangers = [_stranger(p, found) for p in inner if p not in taken]
  strangers = [line for line in strangers if line]
  missing = [key for key in wanted or () if key not in found]
  if missing or not found:
    raise UserError(_nothing(root, missing or list(LAYOUTS), strangers))
  _check_apart(found)
  return Found(found, notes + strangers)


def _folders(root: Path) -> list[Path]:
  try:
    return folders_in(root)
  except OSError as error:
    raise UserError(f"{root}: cannot be listed ({error.strerror})") from error


def _rank(path: Path, key: str) -> tuple:
  """Sorts folders with a database's name: those with a workbook, then exact names."""
  names = [plain(folder) for folder in LAYOUTS[key].folders]
  exact = names.index(plain(path.name)) if plain(path.name) in names else len(names)
  return (not workbook_files(path, key), exact, path.name)


def _check_apart(found: dict[str, Path]) -> None:
  places: dict[Path, str] = {}
  for key, path in found.items():
    other = places.setdefault(path.resolve(), key)
    if other != key:
      raise UserError(
        f"{path}: is the same folder as {found[other]}, but the names stand for"
        f" {DATABASES[key]} and {DATABASES[other]}; remove the wrong link"
      )


def _stranger(path: Path, found: dict[str, Path]) -> str:
  """Makes a line about a folder that looks like a database and is not read, or ""."""
  if other := other_database(path.name):
    return f"{path}: {other} is none of the six databases; left alone"
  for key in found:
    tops = [top for release in LAYOUTS[key].releases for top in release.tops if top]
    if plain(path.name) in map(plain, tops):
      return ""  # It holds the crops of a database that was found.
  known = {plain(name): key for key, of in LAYOUTS.items() for name in of.workbooks}
  books = [plain(book.name) for book in workbook_files(path, None, 1)]
  like = [known[book] for book in books if book in known][:1]
  why = f"holds {DATABASES[like[0]]}'s workbook" if like else "looks like a database"
  if not like and (stem := _STEM.search(plain(path.name))):
    like = [
      key
      for key, layout in LAYOUTS.items()
      if any(stem[0] in plain(folder) for folder in layout.folders)
    ]
  if not like:
    return ""
  names = " or ".join(repr(LAYOUTS[key].folders[0]) for key in like)
  return f"{path}: {why}, but is not read; if it is one, name the folder {names}"


def _nothing(root: Path, missing: list[str], strangers: list[str]) -> str:
  looked = " or ".join(f"{LAYOUTS[key].folders[0]!r}" for key in missing)
  held = ", ".join(sorted(p.name for p in root.iterdir())[:12]) or "nothing"
  line = f"{root}: no folder named {looked}; it holds {held}"
  if key := identify(root.resolve().name):
    line += f"; if it is {DATABASES[key]} itself, give the folder that holds it"
  return "; ".join([line, *strangers])


def read_simulated(root: Path) -> dict:
  """Reads ROOT/SIMULATED.json, the parameters of a simulation; {} if there is none.

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


def simulated_source(place: Path) -> dict:
  """Returns the parameters with which the frames in a folder were simulated, or {}.

  SIMULATED.json is looked for in all folders above, and where a link leads. So
  simulated databases are recognised even if they were moved or linked among licensed
  ones.

  Raises:
    UserError: as in `read_simulated`.
  """
  for folder in (place, place.resolve(), *place.resolve().parents):
    if folder.is_dir() and (source := read_simulated(folder)):
      return source
  return {}
