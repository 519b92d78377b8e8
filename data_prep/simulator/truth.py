"""Writes where simulated faces truly moved, in the records' crops; for evaluation only.

The simulator writes this truth in pixels of the frames. `build` transforms it to the
crops, by each crop's alignment, and writes it beside the records, as truth.npz.
"""

from pathlib import Path

import cv2
import numpy as np

from data_prep.databases.annotations.clips import Clip
from infusenet_jax.clips.faces.alignment import Alignment
from infusenet_jax.clips.schema import GRID, TRUTH


class TruthWriter:
  """Collects masks of where the faces of one database moved, in its records' order."""

  def __init__(self, root: Path):
    """Takes truth from `root`/truth/<database>/<subject>_<clip>.npz, as simulated."""
    self._root = root
    self._rows: list[tuple[str, str, np.ndarray]] = []

  def add(self, clip: Clip, alignment: Alignment) -> None:
    """Adds a clip; one without truth (not from this simulator) is left out."""
    path = self._root / "truth" / clip.database / f"{clip.subject}_{clip.name}.npz"
    if path.is_file():
      with np.load(path) as truth:
        mask = crop_mask(
          truth["moving"], truth["left"], truth["top"], truth["step"], alignment
        )
      self._rows.append((clip.subject, clip.name, mask))

  def write(self, folder: Path) -> None:
    """Writes `folder`/truth.npz, unless no clip has truth.

    It holds subject and clip, (N,) text, and moving, (N, GRID, GRID) uint8: 0 where the
    face stood still, 255 where all of a cell moved.
    """
    if self._rows:
      subject, clip, moving = map(np.stack, zip(*self._rows, strict=True))
      np.savez_compressed(folder / TRUTH, subject=subject, clip=clip, moving=moving)


def crop_mask(
  moving: np.ndarray, left: float, top: float, step: float, alignment: Alignment
) -> np.ndarray:
  """Transforms a frame's mask to the crop, (GRID, GRID) uint8 in [0, 255].

  Args:
    moving: (h, w) bool; element [i, j] is for the frame's pixel (x, y) =
      (left + j step, top + i step). Elsewhere nothing moves.
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
    255 * moving.astype(np.uint8),
    to_grid @ crop @ to_frame,
    (GRID, GRID),
    flags=cv2.INTER_LINEAR,
    borderMode=cv2.BORDER_CONSTANT,
    borderValue=0,
  )
