"""Where simulated faces truly moved, in the records' crops; for evaluation only.

The simulator's truth is in pixels of the frames. `build` brings it into the crops, by
the alignment that the crops had, and puts it beside the records: truth.npz.
"""

from pathlib import Path

import cv2
import numpy as np

from data_prep.databases.annotations.clips import Clip
from infusenet_jax.clips.alignment import Alignment
from infusenet_jax.clips.schema import GRID, TRUTH


class TruthWriter:
  """Collects the masks of one database's clips, in the order of the records."""

  def __init__(self, root: Path):
    """`root` holds truth/<database>/<subject>_<clip>.npz, as `simulate` wrote it."""
    self._root = root
    self._rows: list[tuple[str, str, np.ndarray]] = []

  def add(self, clip: Clip, alignment: Alignment) -> None:
    """Adds a clip; one without truth, of a simulation by other means, is left out."""
    path = self._root / "truth" / clip.database / f"{clip.subject}_{clip.name}.npz"
    if path.is_file():
      with np.load(path) as truth:
        mask = crop_mask(
          truth["moving"], truth["left"], truth["top"], truth["step"], alignment
        )
      self._rows.append((clip.subject, clip.name, mask))

  def write(self, folder: Path) -> None:
    """Writes `folder`/truth.npz, if there is any truth.

    It holds subject and clip (N,) text and moving (N, GRID, GRID) uint8: 0 where the
    face stood still, 255 where all of a cell moved.
    """
    if self._rows:
      subject, clip, moving = map(np.stack, zip(*self._rows, strict=True))
      np.savez_compressed(folder / TRUTH, subject=subject, clip=clip, moving=moving)


def crop_mask(
  moving: np.ndarray, left: float, top: float, step: float, alignment: Alignment
) -> np.ndarray:
  """A frame's mask in the crop, (GRID, GRID) uint8 in [0, 255].

  Args:
    moving: (h, w) bool; sample [i, j] is the frame's pixel (left + j step,
      top + i step); outside nothing moves.
    left, top, step: frame pixels.
    alignment: from the frame to the crop.
  """
  to_frame = np.array([[step, 0, left], [0, step, top], [0, 0, 1]], float)
  cell = GRID / alignment.size
  # Centres of pixels are whole numbers, in the crop as in the grid.
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
