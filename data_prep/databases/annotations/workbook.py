"""Finds the annotation workbook among the files in a database's folder."""

import dataclasses
import itertools
from pathlib import Path

from data_prep.databases.annotations.sheet import MACRO
from data_prep.databases.layouts import Layout
from data_prep.databases.listing import folders_below, plain
from data_prep.databases.names import is_foreign
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.folders import files_in

DEPTH = 3  # Levels of folders in which it is looked for, such as part_A/annotation.
UNREAD = (".xls", ".xlsm", ".xlsb", ".ods", ".csv", ".tsv")
SAVE_AS = "save it as .xlsx with a spreadsheet program"


@dataclasses.dataclass(frozen=True)
class Choice:
  """The workbook that is taken; `notes` say why, if there were others."""

  path: Path
  notes: list[str]


def choose_workbook(folder: Path, layout: Layout, given: Path | None = None) -> Choice:
  """Chooses a database's workbook: the one given, else a known name, else the only one.

  Workbooks of macro-expressions are never taken for it.

  Args:
    folder: of the database.
    layout: of the database, with the names of its known workbooks.
    given: the user's `--workbook`, if any.

  Raises:
    UserError: there is no workbook, or there are several among which the user must
      choose.
  """
  if given is not None:
    return Choice(_checked(given, layout), [f"workbook {given} is taken as asked"])
  files = workbook_files(folder, layout.key)
  macro = [path for path in files if MACRO.search(path.name)]
  books = [p for p in files if p.suffix.lower() == ".xlsx" and p not in macro]
  notes = [f"{_below(p, folder)} is not taken: macro-expressions" for p in macro]
  known = [path for name in layout.workbooks for path in books if _same(path, name)]
  stems = [plain(Path(name).stem) for name in layout.workbooks]
  unread = [p for p in files if p not in books and plain(p.stem) in stems]
  if not known and len(books) == 1 and not unread:
    notes.append(
      f"{_below(books[0], folder)} is the only workbook there, so it is taken"
    )
    return Choice(books[0], notes)
  if not known:
    raise UserError(_none_known(folder, layout, books if not unread else [], files))
  first = known[0]
  for other in known[1:]:
    if _same(other, first.name) and _bytes(other) != _bytes(first):
      raise UserError(
        f"{folder}: {_below(first, folder)} and {_below(other, folder)} have one name"
        f" and differ; say which with --workbook {layout.key}=FILE"
      )
  others = [_below(path, folder) for path in books if path != first]
  if others:
    why = "the first of the known names" if len(known) > 1 else "the only known name"
    notes.append(
      f"{_below(first, folder)} is taken, {why}, not {', '.join(others)}; --workbook"
      f" {layout.key}=FILE takes another"
    )
  return Choice(first, notes)


def workbook_files(folder: Path, key: str | None, depth: int = DEPTH) -> list[Path]:
  """Lists workbooks and other tables in a folder and below it, the upper ones first.

  Folders that are named after another database than `key` are passed over.
  """
  found = []
  for inner in folders_below(folder, depth, lambda name: is_foreign(name, key)):
    try:
      files = files_in(inner)
    except OSError:
      continue
    found += [p for p in files if p.suffix.lower() in (".xlsx", *UNREAD)]
  return found


def parse_workbooks(texts: list[str], keys: tuple[str, ...]) -> dict[str, Path]:
  """Parses the values KEY=FILE of `--workbook` and returns the files by key.

  Raises:
    UserError: a value of another form, an unknown key, or a key that is given twice.
  """
  given = {}
  for text in texts:
    key, equals, path = text.partition("=")
    if not equals or key not in keys or not path:
      raise UserError(
        f"--workbook {text}: expected KEY=FILE, KEY one of {', '.join(keys)}"
      )
    if key in given:
      raise UserError(f"--workbook {key}: is given twice; give one file")
    given[key] = Path(path)
  return given


def _checked(given: Path, layout: Layout) -> Path:
  if not given.is_file():
    raise UserError(f"--workbook {layout.key}={given}: no such file")
  if given.suffix.lower() != ".xlsx":
    raise UserError(f"--workbook {layout.key}={given}: not an .xlsx file; {SAVE_AS}")
  return given


def _none_known(folder: Path, layout: Layout, books: list[Path], files) -> str:
  looked = (
    f"{folder}: no annotation workbook; looked for {' or '.join(layout.workbooks)}"
  )
  say_which = f"--workbook {layout.key}=FILE"
  if books:
    held = ", ".join(_below(path, folder) for path in books[:8])
    return f"{looked}, found {held}; say which with {say_which}"
  unread = [path for path in files if path.suffix.lower() != ".xlsx"]
  if unread:
    held = ", ".join(_below(path, folder) for path in unread[:8])
    return f"{looked}, found {held}; {SAVE_AS}"
  macro = [_below(path, folder) for path in itertools.islice(files, 8)]
  found = f"{', '.join(macro)} of macro-expressions" if macro else "no .xlsx file"
  return f"{looked}, found {found}; put the workbook there or name it with {say_which}"


def _same(path: Path, name: str) -> bool:
  return plain(path.name) == plain(name)


def _below(path: Path, folder: Path) -> str:
  return path.relative_to(folder).as_posix()


def _bytes(path: Path) -> bytes:
  try:
    return path.read_bytes()
  except OSError as error:
    raise UserError(f"{path}: cannot be read ({error.strerror})") from error
