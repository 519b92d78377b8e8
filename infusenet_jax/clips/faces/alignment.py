"""Aligns faces: the transform from a frame to a crop, and how the crop is resampled.

One alignment, found in the onset, serves all frames of a clip: aligning every frame by
its own detection would add the detector's jitter to a motion of a fraction of a pixel.
"""

import dataclasses

import cv2
import numpy as np

# Where the point between the eyes lies in the crop and the distance between the eyes,
# as fractions of the crop's side. Brows and chin stay inside with a margin, however far
# they move.
EYES_CENTRE = (0.5, 0.38)
EYES_APART = 0.35


@dataclasses.dataclass(frozen=True)
class Face:
  """A face in a frame, in the frame's pixels, whose centres are at whole numbers."""

  box: np.ndarray  # (4,) float64: left, top, width, height.
  confidence: float  # In [0, 1].
  # (5, 2) float64, (x, y): two eyes, the nose, two corners of the mouth; of each two,
  # first the one on the left of the picture when the head is upright.
  landmarks: np.ndarray

  @property
  def eyes(self) -> np.ndarray:
    """The (x, y) of the two eyes, (2, 2), first the one on the left of the picture."""
    return self.landmarks[:2]

  @property
  def side(self) -> float:
    """The longer side of the box, in pixels."""
    return float(max(self.box[2:]))

  @property
  def eye_distance(self) -> float:
    """The distance between the eyes, in pixels."""
    return float(np.linalg.norm(self.eyes[1] - self.eyes[0]))

  @property
  def angle(self) -> float:
    """The angle of the line between the eyes, degrees in (-180, 180], clockwise."""
    dx, dy = self.eyes[1] - self.eyes[0]
    return float(np.degrees(np.arctan2(dy, dx)))


@dataclasses.dataclass(frozen=True)
class Alignment:
  """A similarity transform from frame to crop, and how it was found."""

  matrix: np.ndarray  # (2, 3) float64: crop = matrix @ (x, y, 1), in pixels.
  size: int  # Side of the crop, pixels.
  # "eyes": by the eyes of `face`; "cropped": the frame was a crop of a face already;
  # "centre": no face was found, so the middle of the frame was taken.
  found: str
  face: Face | None = None  # The face that the crop was aligned by.

  @property
  def aligned(self) -> bool:
    return self.found != "centre"


def from_eyes(left: np.ndarray, right: np.ndarray, size: int) -> np.ndarray:
  """Computes the (2, 3) similarity that puts two eyes, (x, y) each, in their place.

  In a crop of `size` pixels that is at `EYES_CENTRE`, at a distance of `EYES_APART`.
  """
  left, right = np.asarray(left, float), np.asarray(right, float)
  dx, dy = (right - left) * (EYES_APART * size) / np.sum((right - left) ** 2)
  turn = np.array([[dx, dy], [-dy, dx]])
  target = np.array(EYES_CENTRE) * size - 0.5
  return np.column_stack([turn, target - turn @ ((left + right) / 2)])


def whole_frame(frame: np.ndarray, size: int) -> Alignment:
  """Makes the alignment of a face that is cropped already: it is only resized.

  Width and height are scaled alike; what a frame lacks to a square repeats its edge.
  """
  return Alignment(_square(frame, max(frame.shape[:2]), size), size, "cropped")


def centre(frame: np.ndarray, size: int) -> Alignment:
  """Makes the alignment to the largest square around the centre of a frame."""
  return Alignment(_square(frame, min(frame.shape[:2]), size), size, "centre")


def _square(frame: np.ndarray, side: int, size: int) -> np.ndarray:
  height, width = frame.shape[:2]
  return from_square(((width - side) / 2, (height - side) / 2), side, size)


def from_square(corner: tuple[float, float], side: float, size: int) -> np.ndarray:
  """Computes the (2, 3) transform that takes a square of the frame to the whole crop.

  Args:
    corner: (x, y) of its top left corner; pixel i covers [i, i + 1).
    side: of the square, in pixels of the frame.
    size: of the crop, in pixels.
  """
  scale = size / side
  # The transform is between pixel numbers, whose centres are at i + 1/2.
  offset = [scale * (0.5 - c) - 0.5 for c in corner]
  return np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])


def warp(frame: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
  """Resamples a frame to (size, size, ...) at sub-pixel positions, without aliasing.

  A transform that shrinks is sampled k times as densely and averaged over k x k
  samples, which gives any similarity the quality of OpenCV's INTER_AREA. A transform
  that does not shrink is interpolated by cubics.
  """
  scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
  k = max(1, int(np.ceil(1 / scale - 1e-9)))
  dense = matrix * k
  dense[:, 2] += (k - 1) / 2
  big = cv2.warpAffine(
    frame,
    dense,
    (size * k, size * k),
    flags=cv2.INTER_CUBIC if k == 1 else cv2.INTER_LINEAR,
    borderMode=cv2.BORDER_REPLICATE,
  )
  return big if k == 1 else cv2.resize(big, (size, size), interpolation=cv2.INTER_AREA)
