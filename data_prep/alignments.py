"""Tables how each clip was aligned, and names the clips that should be looked at."""

import csv
from pathlib import Path

import numpy as np

from data_prep.databases.annotations.clips import Clip
from infusenet_jax.clips.faces.alignment import Alignment, from_eyes
from infusenet_jax.runtime.errors import UserError
from infusenet_jax.runtime.text import csv_text, plain_text

ALIGNMENTS = "alignment.csv"  # Beside the records.
POINTS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
HEADER = (
  *("subject", "clip", "found"),
  *(f"{point}_{axis}" for point in POINTS for axis in "xy"),
  *("angle", "eye_distance", "confidence", "look"),
)

# A clip should be looked at if its head is turned further, its eyes are closer together
# or its face is less certain than this. In a crop of 224 pixels the eyes are 78 pixels
# apart: from eyes less than 39 pixels apart it would be enlarged more than twofold.
MOST_TURNED = 25  # Degrees.
LEAST_EYES = 39  # Pixels of the frame.
LEAST_CERTAIN = 0.9
MOST_LINES = 10  # Listed per database, of the clips to be looked at.


def what_to_look_at(alignment: Alignment) -> str:
  """Says why someone should look at the clip's crops; "" if there is no reason."""
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
    faces_sought: whether faces were looked for; if not, no clip is marked.
  """

  def __init__(self, faces_sought: bool = True):
    self._faces_sought = faces_sought
    self._rows: list[list[str]] = []
    self.lines: list[str] = []  # File and reason, for each clip to be looked at.

  def add(self, clip: Clip, onset: Path, alignment: Alignment) -> None:
    """Adds a clip; `onset` is the file of the frame by which it was aligned."""
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
    """Lists lines on clips to be looked at: MOST_LINES of them, and how many more."""
    more = len(self.lines) - MOST_LINES
    rest = [f"... and {more} more clips that {ALIGNMENTS} says to look at"]
    return self.lines[:MOST_LINES] + (rest if more > 0 else [])

  def write(self, folder: Path) -> None:
    """Writes `folder`/alignment.csv."""
    with open(folder / ALIGNMENTS, "w", newline="", encoding="utf-8") as stream:
      csv.writer(stream, lineterminator="\n").writerows([HEADER, *self._rows])


def read_landmarks(folder: Path, size: int) -> dict[tuple[str, str], np.ndarray]:
  """Reads the landmarks (5, 2) of each clip, in pixels of its crop.

  Args:
    folder: of one database's records.
    size: of the crops, pixels.

  Returns:
    {(subject, clip): landmarks} of the clips with a face; {} without a table, which
    records of former versions lack.

  Raises:
    UserError: the table is not as `build` writes it.
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
