"""Reads the CD6ME benchmark's own flow, of which licensees have an array per database.

The files are `casme2_uv_frames_secrets_of_OF.npy` and so on: (N, 3, h, w) real numbers,
u, v and strain by "classic+nl-fast" (Sun, Roth, Black; MATLAB), each scaled to [0, 1]
per clip. Rows have no names: they are the annotated clips in their order, after the
fixes. Since a wrong order would give clips the flow of others, it is checked as far as
possible:

* there must be as many rows as clips;
* clips whose apex is their onset must be constant, and no others may be;
* if there are frames, most of 20 rows must look more like the flow that is measured in
  their own clip than like that of the other 19.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data_prep.databases.annotations.clips import Clip
from infusenet_jax.runtime.errors import UserError

SUFFIX = "_uv_frames_secrets_of_OF.npy"
NAMES = {
  "casme": "casme",
  "casme2": "casme2",
  "samm": "samm",
  "fourd": "4d",
  "mmew": "mmew",
  "casme3a": "casme3",
}
COMPARED = 20  # rows that are compared with flow measured in frames
LEAST_COMPARED = 4  # Fewer rows tell nothing about their order.
SIDE = 32  # pixels, of the flow that is compared
ROUNDING = 1e-4  # by which a channel may miss 0 or 1


@dataclass(frozen=True)
class FlowArray:
  """The flow of one database's clips; the checks that need no frames are made.

  path: of the file.
  array: (N, 3, h, w), mapped from disk.
  rows: {subject and clip: number of its row}.
  order: a line for the user on how far the order of the rows was checked.
  """

  path: Path
  array: np.ndarray
  rows: dict[str, int]
  order: str

  def flow(self, clip: Clip, size: int) -> np.ndarray:
    """Returns u, v and strain of a clip, (size, size, 3) float16 in [0, 1]."""
    return _image(self.array[self.rows[clip.place]], size).astype(np.float16)

  def compared(self, clips: Sequence[Clip]) -> list[Clip]:
    """Chooses up to `COMPARED` moving clips, evenly spread, for `check_order`."""
    moving = [clip for clip in clips if clip.apex != clip.onset]
    chosen = np.linspace(0, len(moving) - 1, min(COMPARED, len(moving)))
    return [moving[i] for i in chosen.round().astype(int)]

  def check_order(self, measured: Sequence[tuple[Clip, np.ndarray]]) -> str:
    """Compares rows with the flow that was measured in the frames of their clips.

    Args:
      measured: (clip, its flow (size, size, 3)) of the clips that `compared` chose.

    Returns:
      A line that says what was found.

    Raises:
      UserError: half of the rows or more look more like another clip than like their
        own.
    """
    if len(measured) < LEAST_COMPARED:
      return (
        f"{self.path}: {len(measured)} clips are too few to check the order by flow"
      )
    theirs = [self.flow(clip, SIDE) for clip, _ in measured]
    ours = [cv2.resize(f.astype(np.float32), (SIDE, SIDE)) for _, f in measured]
    alike = _standard(theirs) @ _standard(ours).T
    own = int((alike.argmax(1) == np.arange(len(alike))).sum())
    line = (
      f"{own} of {len(alike)} rows look most like the flow of their own clip "
      f"(correlation {np.median(np.diag(alike)):.2f})"
    )
    if 2 * own <= len(alike):
      raise UserError(
        f"{self.path}: only {line}: its rows are not in the order of the annotations; "
        "take the file that belongs to them"
      )
    return f"{self.path}: order checked, {line}"


def open_flow_array(folder: Path, key: str, clips: Sequence[Clip]) -> FlowArray:
  """Finds a database's file below `folder` and checks it against the annotated clips.

  Args:
    folder: the folder that --flow-arrays names.
    key: of the database.
    clips: all annotated clips, in their order.

  Raises:
    UserError: there is no file or there are several, or it cannot belong to these
      clips.
  """
  path = _find(folder, key)
  array = _open(path)
  if len(array) != len(clips):
    raise UserError(
      f"{path}: {len(array)} rows, but the annotations have {len(clips)} usable clips; "
      "expected one row per clip, in their order (`check` lists rows that are left out)"
    )
  still = {number for number, clip in enumerate(clips) if clip.apex == clip.onset}
  for number, row in enumerate(array):
    place = f"{path}: row {number} ({clips[number].place})"
    row = np.asarray(row)
    constant = [len(np.unique(np.nan_to_num(channel))) == 1 for channel in row]
    if all(constant[:2]) != (number in still):
      found, expected = "constant", "motion"
      if number in still:
        found, expected = "motion", "none, since the apex is the onset"
      raise UserError(
        f"{place}: is {found}, expected {expected}: its rows are not in the order of "
        "the annotations, or are others'"
      )
    if number not in still:
      _check_range(place, row)
  order = (
    f"{path}: the {len(still)} clips whose apex is their onset are where they should be"
    if still
    else f"{path}: the order of its rows could not be checked but for their number"
  )
  rows = {clip.place: number for number, clip in enumerate(clips)}
  return FlowArray(path, array, rows, order)


def _find(folder: Path, key: str) -> Path:
  name = NAMES[key] + SUFFIX
  found = sorted(folder.rglob(name)) if folder.is_dir() else []
  if len(found) != 1:
    what = f"{len(found)} files" if found else "no file"
    raise UserError(f"--flow-arrays {folder}: {what} {name} below it, expected one")
  return found[0]


def _open(path: Path) -> np.ndarray:
  try:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
  except (OSError, ValueError, EOFError) as error:
    raise UserError(f"{path}: not a readable .npy file ({error})") from error
  if (
    not isinstance(array, np.ndarray)
    or array.ndim != 4
    or array.shape[1] != 3
    or min(array.shape) < 1
    or not np.issubdtype(array.dtype, np.floating)
  ):
    found = f"{getattr(array, 'dtype', 'no array')} {getattr(array, 'shape', '')}"
    raise UserError(
      f"{path}: holds {found}; expected real numbers (N, 3, h, w): u, v, strain"
    )
  return array


def _check_range(place: str, row: np.ndarray) -> None:
  if not np.isfinite(row).all():
    raise UserError(f"{place}: values that are not finite; expected [0, 1]")
  for name, channel in zip(("u", "v", "strain"), row, strict=True):
    low, high = float(channel.min()), float(channel.max())
    if max(abs(low), abs(high - 1)) > ROUNDING:
      raise UserError(
        f"{place}: {name} is in [{low:g}, {high:g}]; expected it scaled to [0, 1]"
      )


def _image(row: np.ndarray, size: int) -> np.ndarray:
  """Resizes a row (3, h, w) to (size, size, 3); constant channels become 0.

  Height and width may be scaled differently.
  """
  image = np.moveaxis(np.nan_to_num(np.asarray(row, np.float32)), 0, -1)
  image = np.where(np.ptp(image, (0, 1)) > 0, image, 0)
  shrinks = size < max(image.shape[:2])
  way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
  return cv2.resize(image, (size, size), interpolation=way)


def _standard(flows: Sequence[np.ndarray]) -> np.ndarray:
  """Standardises u and v of n flows: (n, values), of mean 0 and length 1."""
  rows = np.stack([np.asarray(flow, np.float64)[..., :2] for flow in flows])
  rows -= rows.mean((1, 2), keepdims=True)
  rows /= np.maximum(rows.std((1, 2), keepdims=True), 1e-12)
  rows = rows.reshape(len(rows), -1)
  return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
