"""One alignment per clip, from its onset frame alone.

Aligning every frame by its own detection would add the detector's jitter to a motion
of a fraction of a pixel, so the onset's transform serves all frames of the clip.
"""

import dataclasses
from pathlib import Path

import cv2
import numpy as np

from infusenet_jax.runtime.errors import UserError

# Where the eyes' midpoint lies in the crop and how far apart they are, as fractions
# of its side: the brows' and the chin's furthest motions stay inside with a margin.
EYES_CENTRE = (0.5, 0.38)
EYES_APART = 0.35

# The same in a square that OpenCV's face cascade returns.
BOX_EYES_CENTRE = (0.5, 0.39)
BOX_EYES_APART = 0.40

# Searches, the quick one first: frames are shrunk to this height; the least side of a
# face as a fraction of it.
FACE_SEARCHES = ((240, 0.25), (480, 0.1))
BOX_SIDE = 200  # A face is scaled to this for the search for eyes.
EYE_AREA = 0.62  # Upper fraction of the face box that may hold the eyes.
EYE_SIDES = (28, 70)  # Of an eye's square, least and largest.
EYE_SEARCHES = (("eye", 1.1), ("eye", 1.05), ("eye_tree_eyeglasses", 1.05))


@dataclasses.dataclass(frozen=True)
class Alignment:
  """A similarity transform from frame to crop, and where it comes from."""

  matrix: np.ndarray  # (2, 3) float64: crop = matrix @ (x, y, 1), in pixels.
  size: int
  found: str  # "eyes", "face", "cropped", or "centre" where no face was found.

  @property
  def aligned(self) -> bool:
    return self.found != "centre"


class FaceDetector:
  """Finds the eyes in a frame: Haar cascades, or YuNet with the user's model file.

  Not thread-safe: give every thread its own.
  """

  def __init__(self, face_model: Path | None = None):
    """Loads the cascades that OpenCV ships, or `face_model` (a YuNet .onnx file).

    Raises:
      UserError: the model file is missing or is not a YuNet model.
    """
    self._yunet = None
    if face_model is not None:
      if not face_model.is_file():
        raise UserError(f"--face-model {face_model}: no such file")
      try:
        self._yunet = cv2.FaceDetectorYN.create(str(face_model), "", (320, 320))
      except cv2.error as error:
        raise UserError(
          f"--face-model {face_model}: OpenCV cannot load it as a YuNet model"
        ) from error
      return
    folder = Path(cv2.data.haarcascades)
    self._faces = [
      cv2.CascadeClassifier(str(folder / f"haarcascade_frontalface_{kind}.xml"))
      for kind in ("default", "alt2")
    ]
    self._eyes = {
      kind: cv2.CascadeClassifier(str(folder / f"haarcascade_{kind}.xml"))
      for kind, _ in EYE_SEARCHES
    }

  def align(self, frame: np.ndarray, size: int) -> Alignment:
    """The alignment of a (H, W, 3) uint8 frame to a (size, size) crop."""
    find = self._find_haar if self._yunet is None else self._find_yunet
    if found := find(frame):
      left, right, how = found
      return Alignment(from_eyes(left, right, size), size, how)
    height, width = frame.shape[:2]
    side = min(height, width)
    corner = ((width - side) / 2, (height - side) / 2)
    return Alignment(_from_square(corner, side, size), size, "centre")

  def _find_haar(self, frame):
    """(left eye, right eye, how they were found), or None where no face is found."""
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    box = self._find_face(grey)
    if box is None:
      return None
    if eyes := self._find_eyes(grey, box):
      return *eyes, "eyes"
    return *_expected_eyes(box), "face"

  def _find_yunet(self, frame):
    scale = min(1.0, 640 / max(frame.shape[:2]))
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    self._yunet.setInputSize((small.shape[1], small.shape[0]))
    _, faces = self._yunet.detect(small)
    if faces is None:
      return None
    best = max(faces, key=lambda face: face[2] * face[3])
    left, right = sorted((best[4:6], best[6:8]), key=lambda eye: eye[0])
    return (left / scale, right / scale, "eyes") if right[0] > left[0] else None

  def _find_face(self, grey):
    """The largest face as (x, y, side) in the frame's pixels."""
    for height, least in FACE_SEARCHES:
      scale = min(1.0, height / grey.shape[0])
      small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
      small = cv2.equalizeHist(small)
      side = int(least * small.shape[0])
      for cascade in self._faces:
        boxes = cascade.detectMultiScale(small, 1.1, 5, minSize=(side, side))
        if len(boxes):
          x, y, side, _ = max(boxes, key=lambda box: (box[2], -box[0], -box[1]))
          return x / scale, y / scale, side / scale
    return None

  def _find_eyes(self, grey, box):
    """Both eyes' centres where a plausible pair is found in the face box."""
    x, y, side = box
    matrix = _from_square((x, y), side, BOX_SIDE)
    face = warp(grey, matrix, BOX_SIDE)
    upper = cv2.equalizeHist(face[: int(EYE_AREA * BOX_SIDE)])
    expected = _expected_eyes((0, 0, BOX_SIDE))
    least, largest = ((side, side) for side in EYE_SIDES)
    for kind, step in EYE_SEARCHES:
      found = self._eyes[kind].detectMultiScale(
        upper, step, 4, minSize=least, maxSize=largest
      )
      centres = [np.array([ex + ew / 2, ey + eh / 2]) for ex, ey, ew, eh in found]
      pairs = [
        (np.linalg.norm(a - expected[0]) + np.linalg.norm(b - expected[1]), a, b)
        for a in centres
        for b in centres
        if 0.28 * BOX_SIDE < b[0] - a[0] < 0.56 * BOX_SIDE
        and abs(b[1] - a[1]) < 0.35 * (b[0] - a[0])
        and a[0] < BOX_SIDE / 2 < b[0]
      ]
      if pairs:
        _, left, right = min(pairs, key=lambda pair: (pair[0], *pair[1], *pair[2]))
        if np.linalg.norm(left - expected[0]) < 0.2 * BOX_SIDE:
          back = cv2.invertAffineTransform(matrix)
          return tuple(back[:, :2] @ eye + back[:, 2] for eye in (left, right))
    return None


def _expected_eyes(box) -> tuple[np.ndarray, np.ndarray]:
  x, y, side = box
  middle = np.array([x, y]) + side * np.array(BOX_EYES_CENTRE)
  half = np.array([side * BOX_EYES_APART / 2, 0.0])
  return middle - half, middle + half


def from_eyes(left: np.ndarray, right: np.ndarray, size: int) -> np.ndarray:
  """(2, 3) similarity that puts two eyes, (x, y) each, in their place in the crop."""
  left, right = np.asarray(left, float), np.asarray(right, float)
  dx, dy = (right - left) * (EYES_APART * size) / np.sum((right - left) ** 2)
  turn = np.array([[dx, dy], [-dy, dx]])
  target = np.array(EYES_CENTRE) * size - 0.5
  return np.column_stack([turn, target - turn @ ((left + right) / 2)])


def whole_frame(frame: np.ndarray, size: int) -> Alignment:
  """The alignment that only resizes an already cropped face, keeping its shape."""
  height, width = frame.shape[:2]
  side = max(height, width)
  corner = ((width - side) / 2, (height - side) / 2)
  return Alignment(_from_square(corner, side, size), size, "cropped")


def _from_square(corner, side: float, size: int) -> np.ndarray:
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
