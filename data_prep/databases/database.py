"""Opens a database's folder: finds out which clips can be built and which cannot."""

import dataclasses
from pathlib import Path

from data_prep.databases.annotations.clips import Annotations, Clip, read_annotations
from data_prep.databases.annotations.workbook import choose_workbook
from data_prep.databases.counts import compare_counts, stray_folders
from data_prep.databases.find import simulated_source
from data_prep.databases.frames import (
  FrameFinder,
  Frames,
  KeyFrames,
  Place,
  key_frames,
)
from data_prep.databases.layouts import LAYOUTS, Layout
from data_prep.databases.listing import folders_below, plain
from infusenet_jax.clips.labels import CLIPS, DATABASES, SUBJECTS
from infusenet_jax.runtime.errors import UserError


@dataclasses.dataclass
class Database:
  """One database as found on disk. Its lists of lines name file and row or clip.

  key, name: for example "casme2" and "CASME II".
  folder: that holds the database.
  source: the parameters of the simulation; {} for databases that are not simulated.
  annotated: how many clips the annotations describe.
  listed: these clips, in the sheet's order.
  clips: key frames of the clips that have frames; [] if there are none at all and flow
    comes from the CD6ME benchmark's arrays.
  taken: lines on which workbook and frames are used.
  problems: lines on rows and clips that are left out.
  fixes: lines on annotations that are corrected.
  notes: other lines that the user should know.
  lacking: subject/clip of every clip that is known by name and not among `clips`.
  strays: folders of clips for which the workbook has no row.
  without_frames: how many of the problems are clips without frames.
  missing_frames: how many frames are missing in `clips`, between onset and offset.
  """

  key: str
  name: str
  folder: Path
  source: dict
  annotated: int
  listed: list[Clip] = dataclasses.field(default_factory=list)
  clips: list[KeyFrames] = dataclasses.field(default_factory=list)
  taken: list[str] = dataclasses.field(default_factory=list)
  problems: list[str] = dataclasses.field(default_factory=list)
  fixes: list[str] = dataclasses.field(default_factory=list)
  notes: list[str] = dataclasses.field(default_factory=list)
  lacking: list[str] = dataclasses.field(default_factory=list)
  strays: list[str] = dataclasses.field(default_factory=list)
  without_frames: int = 0
  missing_frames: int = 0

  @property
  def built_clips(self) -> list[Clip]:
    """The annotated clips among `clips`."""
    return [keys.clip for keys in self.clips]

  @property
  def subjects(self) -> int:
    return len({keys.clip.subject for keys in self.clips})

  @property
  def complete_name(self) -> str:
    """The name, with the word "simulated" if the database is."""
    return f"{self.name} (simulated)" if self.source else self.name

  @property
  def published(self) -> dict[str, int | None]:
    """The published numbers of clips and subjects, as in the records' metadata.

    They are None for simulated databases and users' own, which have none.
    """
    known = self.key in CLIPS and not self.source
    return {
      "published_clips": CLIPS[self.key] if known else None,
      "published_subjects": SUBJECTS[self.key] if known else None,
    }

  def compare_counts(self, clips: list[Clip], lacking: list[str]) -> list[str]:
    """Lists lines on what differs from the published counts.

    Args:
      clips: the clips that are built.
      lacking: subject/clip of the clips that are known by name and not built.
    """
    if self.published["published_clips"] is None:
      return []
    return compare_counts(self.key, clips, lacking, self.strays)


def open_database(
  key: str,
  folder: Path,
  cropped: bool = False,
  workbook: Path | None = None,
  needs_frames: bool = True,
) -> Database:
  """Reads a database's workbook and finds the key frames of every clip.

  Full frames and crops are never mixed: full frames are taken if any clip has them,
  unless `cropped` asks for crops.

  Args:
    key: of the database.
    folder: that holds the database.
    cropped: whether to take the release of cropped faces.
    workbook: to use in place of the one that would be found.
    needs_frames: whether it is an error if no clip has frames.

  Raises:
    UserError: nothing of this database can be built; the message says why.
  """
  layout = LAYOUTS[key]
  source = simulated_source(folder)
  choice = choose_workbook(folder, layout, workbook)
  # The fixes correct slips of the licensed workbooks, which simulated ones lack.
  annotations = read_annotations(choice.path, layout, fix=not source)
  if not annotations.clips:
    problem = annotations.problems[:1] or ["the sheet has no rows below its header"]
    raise UserError(f"{choice.path}: no usable clip; {problem[0]}")
  database = Database(
    key=key,
    name=DATABASES[key],
    folder=folder,
    source=source,
    annotated=len(annotations.clips),
    listed=list(annotations.clips),
    taken=[f"workbook {choice.path.name}, {annotations.rows} rows"],
    problems=list(annotations.problems),
    fixes=annotations.fixes,
    notes=choice.notes + annotations.notes,
    lacking=list(annotations.lacking),
  )
  try:
    finder = FrameFinder(folder, layout)
  except OSError as error:
    raise UserError(f"{error.filename}: cannot be listed ({error.strerror})") from error
  holds = [
    finder.holds(clip, way) for clip in annotations.clips for way in (False, True)
  ]
  if needs_frames or any(holds):
    _find_frames(database, annotations, finder, layout, cropped)
  return database


def _find_frames(
  database: Database,
  annotations: Annotations,
  finder: FrameFinder,
  layout: Layout,
  asked: bool,
) -> None:
  """Adds to `database` the clips that have frames, and lines on the others."""
  clips = annotations.clips
  cropped = asked or (
    not any(finder.holds(clip, False) for clip in clips)
    and any(finder.holds(clip, True) for clip in clips)
  )
  used: dict[Place, list[str]] = {}
  for clip in clips:
    place = f"{annotations.workbook.name} row {clip.row} ({clip.place})"
    try:
      frames, keys = _frames_of(clip, finder, layout, cropped)
    except OSError as error:
      reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
      database.problems.append(f"{place}: {reason}; the clip is left out")
      database.lacking.append(clip.place)
      database.without_frames += 1
      continue
    if keys.note:
      database.notes.append(f"{place}: {keys.note}")
    database.clips.append(keys)
    used.setdefault(frames.place, []).append(clip.place)
    # The files are counted, not the numbers up to the offset, which may be huge.
    there = sum(clip.onset <= number <= clip.offset for number in frames.files)
    database.missing_frames += clip.offset - clip.onset + 1 - there
  if not database.clips:
    first = database.problems[len(annotations.problems)]
    raise UserError(_no_frames(database, annotations, layout, asked, first))
  database.taken += _taken(used, finder.places, database.folder, cropped)
  if not layout.repeats_names:
    folders = {keys.files[keys.onset].parent for keys in database.clips}
    database.strays = stray_folders(folders, layout.unlabelled)


def _frames_of(
  clip: Clip, finder: FrameFinder, layout: Layout, cropped: bool
) -> tuple[Frames, KeyFrames]:
  """Finds a clip's frames, in the first place that holds its onset and apex.

  Raises:
    OSError: there is no such place (the message names the folders that were searched),
      or a folder cannot be listed.
  """
  problem = ""
  for frames in finder.find(clip, cropped):
    try:
      return frames, key_frames(clip, frames.files, layout.fps, cropped)
    except FileNotFoundError as error:
      problem = problem or str(error)
  if not problem:
    looked = finder.looked_for(clip, cropped)
    if other := finder.holds(clip, not cropped):
      kinds = ("full frames", "crops") if cropped else ("crops", "full frames")
      problem = f"; the {kinds[0]} in {other} are not mixed with {kinds[1]}"
    else:
      looked += finder.looked_for(clip, not cropped)
    looked = " or ".join(dict.fromkeys(looked)) or "any release of crops"
    problem = f"no frames in {looked}{problem}"
  raise FileNotFoundError(problem)


def _no_frames(
  database: Database,
  annotations: Annotations,
  layout: Layout,
  asked: bool,
  first: str,
) -> str:
  what = "cropped frames, which --cropped asks for" if asked else "frames"
  line = (
    f"{database.folder}: {annotations.workbook.name} is there, but none of its"
    f" {len(annotations.clips)} clips has {what}; {first}"
  )
  if asked:
    line += "; leave --cropped out, or put the crops there"
  inner = {plain(path.name): path for path in folders_below(database.folder, 3)}
  for name, what in layout.others:
    if path := inner.get(plain(name)):
      line += f"; {path} is not read: {what}"
  return line


def _taken(
  used: dict[Place, list[str]], places: list[Place], folder: Path, cropped: bool
) -> list[str]:
  """Makes lines on the releases used; names the clips of all but the main one."""
  lines = []
  kind = "cropped" if cropped else "full frames"
  for place, clips in sorted(used.items(), key=lambda item: -len(item[1])):
    release = place.release.name
    words = kind if release in ("raw", "cropped") else f"{kind}, {release} release"
    names = f": {', '.join(clips)}" if lines else ""
    count = f"{len(clips)} clip{'s' if len(clips) > 1 else ''}"
    lines.append(f"{words}, {place.name} ({count}{names})")
  other = [
    place.name
    for place in places
    if place not in used
    and place.top != folder
    and not any(place.top == p.top or p.top.is_relative_to(place.top) for p in used)
  ]
  if other:
    lines.append(f"not used: {', '.join(dict.fromkeys(other))}")
  return lines
