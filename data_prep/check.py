"""`python -m data_prep check`: what can be built of the databases, before building."""

import concurrent.futures
import os
from pathlib import Path

from tqdm import tqdm

from data_prep.databases.find import (
  Database,
  find_databases,
  open_database,
  read_simulated,
)
from data_prep.databases.layouts import LAYOUTS
from infusenet_jax.clips.images import read_frame
from infusenet_jax.clips.labels import DATABASES
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.text import print_lines, text_table


def check(root: Path, databases: list[str] | None = None, cropped: bool = False) -> int:
  """Prints a table with one row per database, and one line per problem.

  Every file that build would read is decoded. Counts stand beside the published ones
  where the databases are licensed.

  Returns:
    0 where all can be built, 1 where clips would be left out, 2 where a database
    cannot be built.

  Raises:
    UserError: there is nothing to check.
  """
  source = read_simulated(root)
  folders = find_databases(root, databases)
  status, rows = 0, []
  for key, folder in folders.items():
    layout = LAYOUTS[key]
    try:
      database = open_database(key, folder, bool(source), cropped)
    except UserError as error:
      print_lines([str(error)])
      rows.append([DATABASES[key], *"-------", "no"])
      status = 2
      continue
    unreadable = _unreadable(database)
    print_lines(database.annotations.fixes and [f"{key}: fixes that will be applied:"])
    print_lines([f"  {line}" for line in database.annotations.fixes])
    print_lines(database.notes + database.problems + unreadable)
    if database.problems or unreadable:
      status = max(status, 1)
    clips, subjects = len(database.clips), database.subjects
    # With key frames only, the frames in between are absent by design.
    all_frames = source.get("frames", "all") == "all"
    rows.append(
      [
        DATABASES[key],
        clips if source else f"{clips} of {layout.clips}",
        subjects if source else f"{subjects} of {layout.subjects}",
        len(database.skipped),
        database.missing_frames if all_frames else "key only",
        len(unreadable),
        len(database.annotations.problems),
        len(database.annotations.fixes),
        "yes",
      ]
    )
  for key in DATABASES:
    if key not in folders and not databases:
      rows.append([DATABASES[key], *"-------", "not there"])
  if source:
    print(f"{root} holds simulated data.")
  header = [
    *("database", "clips", "subjects", "without frames", "missing frames"),
    *("unreadable files", "bad rows", "fixes", "can be built"),
  ]
  print(text_table([header, *rows], underlined=True))
  return status


def _unreadable(database: Database) -> list[str]:
  """One line for each file of the key frames that cannot be decoded."""
  files = [
    (f"{database.layout.key} {keys.clip.subject}/{keys.clip.name}", path)
    for keys in database.clips
    for path in keys.files.values()
  ]

  def problem(place_and_path):
    place, path = place_and_path
    try:
      read_frame(path)
    except ValueError as error:
      return f"{place}: {error}"
    return None

  name = DATABASES[database.layout.key]
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    try:
      lines = pool.map(problem, files)
      bar = tqdm(lines, total=len(files), desc=f"check {name}", unit="file", delay=1)
      return [line for line in bar if line]
    finally:
      pool.shutdown(cancel_futures=True)
