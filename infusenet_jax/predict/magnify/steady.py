"""One face alone, at its own resolution, held in its place while the head moves."""

from collections.abc import Iterator

import cv2
import numpy as np

from infusenet_jax.clips.faces.alignment import EYES_APART, from_eyes
from infusenet_jax.predict.findings import Frames
from infusenet_jax.predict.watch.video import Footage, Frame
from infusenet_jax.runtime.errors import UserError

LEAST = 64  # Side of the picture, pixels; a smaller face is enlarged.
MOST = 2048
_SMOOTH = 0.1  # Seconds, a standard deviation: the head moves no faster than that.


class SteadyFace:
  """A video of one face: its eyes stay where `clips.faces.alignment` puts them.

  Attributes:
    size: side of the pictures, pixels: those that the face has in the video.
  """

  def __init__(self, footage: Footage, frames: Frames):
    """Prepares the pictures of a face that was followed through all of `footage`.

    Raises:
      UserError: no frame has a face.
    """
    if not frames.success.any():
      raise UserError(f"{footage.name}: no face was found, which --face needs")
    self._footage = footage
    self._eyes = smooth_eyes(frames)
    self._number = frames.number
    apart = np.linalg.norm(self._eyes[:, 1] - self._eyes[:, 0], axis=-1)
    side = float(np.median(apart)) / EYES_APART
    self.size = 2 * round(min(max(side, LEAST), MOST) / 2)

  def __iter__(self) -> Iterator[Frame]:
    """All frames with a picture (size, size, 3) of the face, in order."""
    rows = {int(number): row for row, number in enumerate(self._number)}
    for frame in self._footage:
      if frame.number in rows:
        matrix = from_eyes(*self._eyes[rows[frame.number]], self.size)
        # Sampled alike in all frames: what `warp` chooses by scale would flicker.
        face = cv2.warpAffine(
          frame.image,
          matrix,
          (self.size, self.size),
          flags=cv2.INTER_CUBIC,
          borderMode=cv2.BORDER_REPLICATE,
        )
        yield frame._replace(image=face)


def smooth_eyes(frames: Frames, spread: float = _SMOOTH) -> np.ndarray:
  """Where the eyes are in each frame, (T, 2, 2), without the jitter of finding them.

  Where the face is lost, in between. Each frame has the value there of the line that
  fits its surroundings best, with Gaussian weights over time, so that a head in steady
  motion is followed without a lag at either end.

  Args:
    frames: of which one at least has a face.
    spread: of the weights, seconds; 0 smooths nothing.
  """
  seconds, there = frames.seconds, frames.success
  known = frames.eyes.reshape(len(frames), 4)
  path = np.stack([np.interp(seconds, seconds[there], x[there]) for x in known.T], -1)
  if spread <= 0:
    return path.reshape(-1, 2, 2)
  smooth = np.empty_like(path)
  first, last = (
    np.searchsorted(seconds, seconds + sign * 3 * spread, side)
    for sign, side in ((-1, "left"), (1, "right"))
  )
  for row, (start, stop) in enumerate(zip(first, last, strict=True)):
    away = (seconds[start:stop] - seconds[row]) / spread
    weights = np.exp(-(away**2) / 2)
    whole, first_moment, second_moment = (weights @ away**n for n in range(3))
    if whole * second_moment > first_moment**2 + 1e-9:  # More than one frame.
      weights *= second_moment - away * first_moment
    smooth[row] = weights @ path[start:stop] / weights.sum()
  return smooth.reshape(-1, 2, 2)
