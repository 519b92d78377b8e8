"""From a frame to a crop: where the eyes lie in it, and how pixels get there.

One alignment serves all frames of a clip: aligning every frame by its own detection
would add the detector's jitter to a motion of a fraction of a pixel.
"""

import dataclasses

import cv2
import numpy as np

# Where the eyes' midpoint lies in the crop and how far apart they are, as fractions
# of its side: the brows' and the chin's furthest motions stay inside with a margin.
EYES_CENTRE = (0.5, 0.38)
EYES_APART = 0.35


@dataclasses.dataclass(frozen=True)
class Face:
  """A face in a frame, in the frame's pixels; a pixel's centre is a whole number."""

  box: np.ndarray  # (4,) float64: left, top, width, height.
  confidence: float  # In [0, 1].
  # (5, 2) float64, (x, y): eyes, nose, corners of the mouth; of each pair the one first
  # that is on the left in the picture of an upright head.
  landmarks: np.ndarray

  @property
  def eyes(self) -> np.ndarray:
    """(2, 2): the left and the right eye's (x, y)."""
    return self.landmarks[:2]

  @property
  def side(self) -> float:
    """The longer side of the box, pixels."""
    return float(max(self.box[2:]))

  @property
  def eye_distance(self) -> float:
    """Pixels from eye to eye."""
    return float(np.linalg.norm(self.eyes[1] - self.eyes[0]))

  @property
  def angle(self) -> float:
    """How far the head is turned in the picture, degrees in (-180, 180], clockwise."""
    dx, dy = self.eyes[1] - self.eyes[0]
    return float(np.degrees(np.arctan2(dy, dx)))


@dataclasses.dataclass(frozen=True)
class Alignment:
  """A similarity transform from frame to crop, and where it comes from."""

  matrix: np.ndarray  # (2, 3) float64: crop = matrix @ (x, y, 1), in pixels.
  size: int
  found: str  # "eyes", "cropped", or "centre" where no face was found.
  face: Face | None = None  # The face that the crop goes by.

  @property
  def aligned(self) -> bool:
    return self.found != "centre"


def from_eyes(left: np.ndarray, right: np.ndarray, size: int) -> np.ndarray:
  """(2, 3) similarity that puts two eyes, (x, y) each, in their place in the crop."""
  left, right = np.asarray(left, float), np.asarray(right, float)
  dx, dy = (right - left) * (EYES_APART * size) / np.sum((right - left) ** 2)
  turn = np.array([[dx, dy], [-dy, dx]])
  target = np.array(EYES_CENTRE) * size - 0.5
  return np.column_stack([turn, target - turn @ ((left + right) / 2)])


def whole_frame(frame: np.ndarray, size: int) -> Alignment:
  """The alignment that only resizes an already cropped face, keeping its shape."""
  return Alignment(_square(frame, max(frame.shape[:2]), size), size, "cropped")


def centre(frame: np.ndarray, size: int) -> Alignment:
  """The alignment to the largest square about a frame's centre."""
  return Alignment(_square(frame, min(frame.shape[:2]), size), size, "centre")


def _square(frame: np.ndarray, side: int, size: int) -> np.ndarray:
  height, width = frame.shape[:2]
  return from_square(((width - side) / 2, (height - side) / 2), side, size)


def from_square(corner: tuple[float, float], side: float, size: int) -> np.ndarray:
  """(2, 3) transform of a square, in continuous coordinates, to the whole crop."""
  scale = size / side
  # Pixel i covers [i, i + 1), so that its centre is at i + 1/2.
  offset = [scale * (0.5 - c) - 0.5 for c in corner]
  return np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])


def warp(frame: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
  """Resamples a frame to (size, size, ...) at sub-pixel positions, without aliasing.

  A shrinking transform is sampled k times too densely and averaged over k x k, the
  quality of OpenCV's INTER_AREA for any similarity; a growing one is cubic.
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
