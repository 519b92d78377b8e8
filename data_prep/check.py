"""`python -m data_prep check`: says what can be built of the databases."""

import concurrent.futures
import os
import threading

from tqdm import tqdm

from data_prep.databases.database import Database
from data_prep.databases.frames import KeyFrames
from data_prep.frame_reader import FrameReader
from data_prep.sources import Sources, describe
from infusenet_jax.clips.labels import CLIPS, DATABASES, SUBJECTS
from infusenet_jax.runtime.text import print_lines, text_table

HEADER = [
  *("database", "clips", "subjects", "without frames", "missing frames"),
  *("unreadable files", "bad rows", "fixes", "can be built"),
]


def check(opened: Sources) -> int:
  """Prints what was found, a line per problem and a table with a row per database.

  Every file that `build` would read is decoded. Counts of licensed databases are
  compared with the published ones.

  Returns:
    The exit status: 0 if everything can be built; 1 if clips would be left out or a
    count is not the published one; 2 if a database cannot be built.
  """
  status, rows = 0, []
  print_lines(opened.notes)
  for source in opened.sources:
    if source.database is None:
      print_lines([source.failure])
      rows.append([source.name, *"-------", "no"])
      status = 2
      continue
    row, spotless = _check_database(source.database)
    rows.append(row)
    status = max(status, 0 if spotless else 1)
  rows += [[DATABASES[key], *"-------", "not there"] for key in opened.absent]
  print(text_table([HEADER, *rows], underlined=True))
  return status


def _check_database(database: Database) -> tuple[list[object], bool]:
  """Makes a database's row of the table; says whether nothing is wrong with it."""
  print("\n".join(describe(database)))
  unreadable, lost = _decode(database)
  built = [k.clip for k in database.clips if k.clip.place not in lost]
  counts = database.compare_counts(built, [*database.lacking, *lost])
  print_lines(database.notes + database.problems + unreadable + counts)
  clips: object = len(built)
  subjects: object = len({clip.subject for clip in built})
  if database.published["published_clips"] is not None:
    clips = f"{clips} of {CLIPS[database.key]}"
    subjects = f"{subjects} of {SUBJECTS[database.key]}"
  # With key frames only, the frames in between are absent by design.
  all_frames = database.source.get("frames", "all") == "all"
  row = [
    database.complete_name,
    clips,
    subjects,
    database.without_frames,
    database.missing_frames if all_frames else "key only",
    len(unreadable),
    len(database.problems) - database.without_frames,
    len(database.fixes),
    "yes" if built else "no",
  ]
  return row, not (database.problems or unreadable or counts)


def _decode(database: Database) -> tuple[list[str], list[str]]:
  """Decodes all key frames; returns a line per unreadable file, and the clips lost."""

  local = threading.local()

  def problems(keys: KeyFrames) -> dict[int, str]:
    if not hasattr(local, "reader"):
      local.reader = FrameReader()
    found = {}
    for number in keys.files:
      try:
        local.reader.read(keys, number)
      except ValueError as error:
        found[number] = f"{database.key} {keys.clip.place}: {error}"
    return found

  lines, lost = [], []
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    try:
      found = pool.map(problems, database.clips)
      total = len(database.clips)
      bar = tqdm(
        found, total=total, desc=f"check {database.name}", unit="clip", delay=1
      )
      for keys, bad in zip(database.clips, bar, strict=True):
        lines += bad.values()
        if keys.onset in bad or keys.apex in bad:
          lost.append(keys.clip.place)
    finally:
      pool.shutdown(cancel_futures=True)
  return lines, lost
