"""Writes where simulated faces truly changed, in the records' crops.

For evaluation only.

The simulator writes this truth in pixels of the frames. `build` transforms it to the
crops, by each crop's alignment, and writes it beside the records, as truth.npz.
"""

from pathlib import Path

import cv2
import numpy as np

from data_prep.databases.annotations.clips import Clip
from infusenet_jax.clips.faces.alignment import Alignment
from infusenet_jax.clips.schema import GRID, TRUE_MASKS, TRUTH
from infusenet_jax.runtime.errors import UserError


class TruthWriter:
  """Collects masks of where the faces of one database changed, in records' order."""

  def __init__(self, root: Path):
    """Takes truth from `root`/truth/<database>/<subject>_<clip>.npz, as simulated."""
    self._root = root
    self._rows: list[tuple[str, str, *tuple[np.ndarray, ...]]] = []

  def add(self, clip: Clip, alignment: Alignment) -> None:
    """Adds a clip; one without truth (not from this simulator) is left out."""
    path = self._root / "truth" / clip.database / f"{clip.subject}_{clip.name}.npz"
    if path.is_file():
      with np.load(path) as truth:
        if missing := {*TRUE_MASKS, "true"} - set(truth):
          raise UserError(
            f"{path}: has no {' and no '.join(sorted(missing))}; an older version has"
            " simulated these databases: delete them and simulate again"
          )
        place = truth["left"], truth["top"], truth["step"], alignment
        masks = [crop_mask(truth[name], *place) for name in TRUE_MASKS]
        true = truth["true"].astype(np.uint8)
      self._rows.append((clip.subject, clip.name, true, *masks))

  def write(self, folder: Path) -> None:
    """Writes `folder`/truth.npz, unless no clip has truth.

    It holds subject and clip, (N,) text; true, (N, 12) of 0 and 1, the AUs that the
    face shows, whatever coders wrote down; and moving and appearance, (N, GRID, GRID)
    uint8: 0 where the face stood still, or looked the same apart from its motion, 255
    where all of a cell moved, or changed.
    """
    if self._rows:
      columns = map(np.stack, zip(*self._rows, strict=True))
      names = ("subject", "clip", "true", *TRUE_MASKS)
      np.savez_compressed(folder / TRUTH, **dict(zip(names, columns, strict=True)))


def crop_mask(
  mask: np.ndarray, left: float, top: float, step: float, alignment: Alignment
) -> np.ndarray:
  """Transforms a frame's mask to the crop, (GRID, GRID) uint8 in [0, 255].

  Args:
    mask: (h, w) bool; element [i, j] is for the frame's pixel (x, y) =
      (left + j step, top + i step). Elsewhere it is False.
    left, top, step: in pixels of the frame.
    alignment: from the frame to the crop.
  """
  to_frame = np.array([[step, 0, left], [0, step, top], [0, 0, 1]], float)
  cell = GRID / alignment.size
  # Both in the crop and in the grid, centres of pixels are at whole numbers.
  shift = 0.5 * cell - 0.5
  to_grid = np.array([[cell, 0, shift], [0, cell, shift]])
  crop = np.vstack([alignment.matrix, [0, 0, 1]])
  return cv2.warpAffine(
    255 * mask.astype(np.uint8),
    to_grid @ crop @ to_frame,
    (GRID, GRID),
    flags=cv2.INTER_LINEAR,
    borderMode=cv2.BORDER_CONSTANT,
    borderValue=0,
  )
