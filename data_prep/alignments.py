"""How each clip was aligned: a table beside its records, and what deserves a look."""

import csv
from pathlib import Path

import numpy as np

from data_prep.databases.annotations.clips import Clip
from infusenet_jax.clips.alignment import Alignment, from_eyes
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.text import csv_text, plain_text

ALIGNMENTS = "alignment.csv"  # Beside the records.
POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
HEADER = (
  *("subject", "clip", "found"),
  *(f"{point}_{axis}" for point in POINTS for axis in "xy"),
  *("angle", "eye_distance", "confidence", "look"),
)

# A clip deserves a look where its head is turned further, its eyes are closer together
# or its face is less certain than this. The crop has the eyes 78 of 224 pixels apart:
# below 39 it shows every pixel of the frame more than twice as large.
MOST_TURNED = 25  # Degrees.
LEAST_EYES = 39  # Pixels of the frame.
LEAST_CERTAIN = 0.9
MOST_LINES = 10  # Of clips that deserve a look, per database; the table marks all.


def what_to_look_at(alignment: Alignment) -> str:
  """Why somebody should look at the clip's crops, or ""."""
  face = alignment.face
  if not alignment.aligned:
    return "no face found, centre crop"
  if face is None:
    return ""
  reasons = []
  if abs(face.angle) > MOST_TURNED:
    reasons.append(f"head turned by {face.angle:.0f} degrees")
  if face.eye_distance < LEAST_EYES:
    reasons.append(f"small face, {face.eye_distance:.0f} pixels between the eyes")
  if face.confidence < LEAST_CERTAIN:
    reasons.append(f"face uncertain, confidence {face.confidence:.2f}")
  return ", ".join(reasons)


class AlignmentTable:
  """Collects the alignments of one database, in the order of its records.

  Args:
    faces_sought: whether faces were looked for; else no clip deserves a look.
  """

  def __init__(self, faces_sought: bool = True):
    self._faces_sought = faces_sought
    self._rows: list[list[str]] = []
    self.lines: list[str] = []  # Of the clips that deserve a look, file and reason.

  def add(self, clip: Clip, onset: Path, alignment: Alignment) -> None:
    """Adds a clip; `onset` is the frame that it was aligned by."""
    face = alignment.face
    reason = what_to_look_at(alignment) if self._faces_sought else ""
    numbers = [""] * (len(HEADER) - 4)
    if face is not None:
      numbers = [f"{v:.2f}" for v in face.landmarks.ravel()]
      numbers += [f"{face.angle:.1f}", f"{face.eye_distance:.1f}"]
      numbers += [f"{face.confidence:.3f}"]
    name = csv_text(clip.subject), csv_text(clip.name)
    self._rows.append([*name, alignment.found, *numbers, reason])
    if reason:
      place = f"{clip.database} {clip.subject}/{clip.name}"
      self.lines.append(f"{place}: {onset}: {reason}")

  def notes(self) -> list[str]:
    """Lines on the clips that deserve a look, MOST_LINES and how many more."""
    more = len(self.lines) - MOST_LINES
    rest = [f"... and {more} more clips that {ALIGNMENTS} says to look at"]
    return self.lines[:MOST_LINES] + (rest if more > 0 else [])

  def write(self, folder: Path) -> None:
    """Writes `folder`/alignment.csv."""
    with open(folder / ALIGNMENTS, "w", newline="", encoding="utf-8") as stream:
      csv.writer(stream, lineterminator="\n").writerows([HEADER, *self._rows])


def read_landmarks(folder: Path, size: int) -> dict[tuple[str, str], np.ndarray]:
  """Landmarks (5, 2) in the crops by (subject, clip); clips without a face are absent.

  Empty without a table, as beside records of former versions.

  Raises:
    UserError: the table is not one that `build` wrote.
  """
  path, found = folder / ALIGNMENTS, {}
  if not path.is_file():
    return found
  try:
    with open(path, newline="", encoding="utf-8") as stream:
      for row in csv.DictReader(stream):
        if row["left_eye_x"]:
          points = [float(row[f"{point}_{axis}"]) for point in POINTS for axis in "xy"]
          points = np.array(points).reshape(5, 2)
          matrix = from_eyes(points[0], points[1], size)
          name = plain_text(row["subject"]), plain_text(row["clip"])
          found[name] = points @ matrix[:, :2].T + matrix[:, 2]
  except (OSError, KeyError, TypeError, ValueError) as error:
    raise UserError(
      f"{path}: cannot be read as `build` wrote it ({error!r}); delete {folder} and"
      " build again"
    ) from error
  return found
