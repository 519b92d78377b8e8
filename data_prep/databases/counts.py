"""Compares the clips that were found with the published counts."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from data_prep.databases.annotations.clips import Clip
from data_prep.databases.frames import same_name
from data_prep.databases.layouts import LAYOUTS
from data_prep.databases.listing import SUBJECT
from data_prep.simulator.plan.counts import statistics
from infusenet_jax.clips.labels import AUS, CLIPS, SUBJECTS
from infusenet_jax.runtime.folders import folders_in


def compare_counts(
  key: str, clips: list[Clip], lacking: list[str], strays: list[str]
) -> list[str]:
  """Lists lines on how a licensed database differs from what was published.

  Args:
    key: of one of the six databases.
    clips: the clips that are built.
    lacking: subject/clip of the clips that are known by name and not built.
    strays: folders of clips for which the workbook has no row.
  """
  subjects = len({clip.subject for clip in clips})
  if (len(clips), subjects) == (CLIPS[key], SUBJECTS[key]):
    return _compare_labels(key, clips)
  lacking = list(dict.fromkeys(lacking))
  unnamed = CLIPS[key] - len(clips) - len(lacking)
  lines = [
    f"{key}: {len(clips)} clips of {subjects} subjects, published are {CLIPS[key]} of"
    f" {SUBJECTS[key]}: results on it are not comparable"
  ]
  if lacking:
    lines.append(f"{key}: missing by name, {len(lacking)}: {', '.join(lacking)}")
  if unnamed > 0:
    lines.append(
      f"{key}: {unnamed} more are missing that the workbook does not list"
      + (f"; folders without a row: {', '.join(strays)}" if strays else "")
    )
  if unnamed < 0 < len(clips) - CLIPS[key]:
    doubles = _doubles(key, clips)
    lines.append(
      f"{key}: {len(clips) - CLIPS[key]} too many; "
      + (
        f"rows of one folder: {', '.join(doubles)}"
        if doubles
        else "which, no published table says: compare the workbook with its release"
      )
    )
  return lines


def _doubles(key: str, clips: list[Clip]) -> list[str]:
  """Lists clips that have a name of their own but share a folder on disk."""
  if LAYOUTS[key].repeats_names:
    return []
  count = Counter((clip.number, same_name(clip.filename)) for clip in clips)
  return [
    clip.place for clip in clips if count[clip.number, same_name(clip.filename)] > 1
  ]


def _compare_labels(key: str, clips: list[Clip]) -> list[str]:
  """Makes a line if the clips, as many as published, have other labels."""
  published = statistics()[key]["positives"]
  differ = []
  for i, au in enumerate(AUS):
    found = sum(clip.labels[i] for clip in clips)
    if found != published[f"AU{au}"]:
      differ.append(f"AU{au} {found} ({published[f'AU{au}']})")
  if not differ:
    return []
  return [
    f"{key}: other positives than published, in brackets: {', '.join(differ)}; is this"
    " the revision of the workbook that the benchmark used?"
  ]


def stray_folders(used: Iterable[Path], known: tuple[str, ...]) -> list[str]:
  """Lists the clips' folders that no annotated clip uses, as "sub09/EP02_02f".

  Args:
    used: folders of the annotated clips.
    known: names of folders that are known to have no row; they are left out.
  """
  used = set(used)
  subjects = {folder.parent for folder in used}
  for top in {subject.parent for subject in subjects}:
    subjects |= {path for path in _folders(top) if SUBJECT.match(path.name)}
  strays = [path for subject in subjects for path in _folders(subject)]
  names = [
    f"{path.parent.name}/{path.name}" for path in sorted(strays) if path not in used
  ]
  known = {same_name(name) for name in known}
  return [name for name in names if same_name(name) not in known]


def _folders(folder: Path) -> list[Path]:
  try:
    return folders_in(folder)
  except OSError:
    return []
