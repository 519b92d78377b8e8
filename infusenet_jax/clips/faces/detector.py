"""Finding the faces in a frame, and the alignment that the largest one gives."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from infusenet_jax.clips.faces.alignment import Alignment, Face, centre, from_eyes
from infusenet_jax.clips.faces.mtcnn import Mtcnn
from infusenet_jax.runtime.errors import UserError

# Least height of a face that a crop is made of, pixels; its eyes are about 16 apart.
# O-Net's input is as high: smaller faces would have to be enlarged for it.
LEAST_FACE = 48
# A face counts from this confidence on; wrong ones have 0.4 at most (docs/faces.md).
CONFIDENT = 0.7

_LARGE, _SMALL = 1 / 10, 1 / 40  # Least faces, in shorter sides of the frame.
_SMALLEST = 24  # In pixels, of faces that are looked for; P-Net sees half of them.
_TURNS = (45, -45)  # Degrees; MTCNN finds heads that are turned by 60.
_HEIGHT = 480  # Large faces are looked for in frames shrunk to this shorter side.


class FaceDetector:
  """Finds faces in frames: MTCNN, or YuNet with the user's model file.

  Not thread-safe: give every thread its own.
  """

  def __init__(self, face_model: Path | None = None):
    """Loads MTCNN's networks, or `face_model` (a YuNet .onnx file).

    Raises:
      UserError: the model file is missing or is not a YuNet model.
    """
    self._mtcnn = Mtcnn() if face_model is None else None
    if face_model is None:
      return
    if not face_model.is_file():
      raise UserError(f"--face-model {face_model}: no such file")
    try:
      self._yunet = cv2.FaceDetectorYN.create(str(face_model), "", (320, 320))
    except cv2.error as error:
      raise UserError(
        f"--face-model {face_model}: OpenCV cannot load it as a YuNet model"
      ) from error

  def find(self, frame: np.ndarray) -> list[Face]:
    """All faces in a frame, the largest first.

    Faces of less than a tenth of the frame's shorter side are looked for only where
    there is no larger one.

    Args:
      frame: (H, W, 3) uint8, blue-green-red, or (H, W) grey.

    Raises:
      ValueError: not a frame, or OpenCV refuses it.
    """
    frame = _three_channels(frame)
    try:
      faces = self._find_mtcnn(frame) if self._mtcnn else self._find_yunet(frame)
    except cv2.error as error:
      reason = " ".join(str(error).split())
      raise ValueError(f"OpenCV cannot search it for faces ({reason})") from error
    return sorted(faces, key=lambda face: (-face.side, *face.box))

  def largest(self, frame: np.ndarray) -> Face | None:
    """The largest face in a frame, None where there is none."""
    return next(iter(self.find(frame)), None)

  def align(self, frame: np.ndarray, size: int) -> Alignment:
    """The alignment of a frame's largest face to a (size, size) crop.

    Without a face it is the square about the frame's centre.

    Raises:
      ValueError: not a frame, or its largest face is smaller than LEAST_FACE.
    """
    face = self.largest(frame)
    return centre(frame, size) if face is None else align_face(face, size)

  def _find_mtcnn(self, frame: np.ndarray) -> list[Face]:
    picture = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    for found in self._searches(picture):
      faces = [self._mtcnn.refine(picture, landmarks) for landmarks in found]
      if faces := [face for face in faces if face and face.confidence >= CONFIDENT]:
        return _distinct(faces)
    return []

  def _searches(self, picture: np.ndarray) -> Iterator[list[np.ndarray]]:
    """What each search finds: landmarks (5, 2) of every face, in the picture.

    First those of at least a tenth of its shorter side, then smaller ones, then large
    ones in the picture turned about: each search is made only if it is asked for.
    """
    shorter = min(picture.shape[:2])
    scale = min(1.0, _HEIGHT / shorter)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    whole = np.array([[1, 0, 0.5], [0, 1, 0.5]]) / scale - [[0, 0, 0.5], [0, 0, 0.5]]
    large = max(_SMALLEST, _LARGE * scale * shorter)
    levels = _levels(small)
    small = cv2.LUT(small, levels)
    yield [_mapped(whole, face) for face in self._mtcnn.search(small, large)]
    finest = max(_SMALLEST, _SMALL * shorter)
    yield self._mtcnn.search(cv2.LUT(picture, levels), finest)
    for degrees in _TURNS:
      turned, back = _turn(small, degrees)
      found = self._mtcnn.search(turned, large)
      yield [_mapped(whole, _mapped(back, face)) for face in found]

  def _find_yunet(self, frame: np.ndarray) -> list[Face]:
    scale = min(1.0, 640 / max(frame.shape[:2]))
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    self._yunet.setInputSize((small.shape[1], small.shape[0]))
    _, rows = self._yunet.detect(small)
    faces = []
    for row in [] if rows is None else np.asarray(rows, float):
      # Box, five points, score; a pair's left and right are not in one order.
      landmarks = row[4:14].reshape(5, 2) / scale
      for pair in (slice(0, 2), slice(3, 5)):
        landmarks[pair] = landmarks[pair][np.argsort(landmarks[pair, 0])]
      if landmarks[1, 0] > landmarks[0, 0]:
        faces.append(Face(row[:4] / scale, float(row[14]), landmarks))
    return faces


def align_face(face: Face, size: int) -> Alignment:
  """The alignment of a face that was found to a (size, size) crop.

  Raises:
    ValueError: it is smaller than LEAST_FACE.
  """
  if face.side < LEAST_FACE:
    raise ValueError(
      f"the largest face is {face.side:.0f} pixels high, expected at least"
      f" {LEAST_FACE}; use the frames before they were shrunk, or film from closer"
    )
  return Alignment(from_eyes(*face.eyes, size), size, "eyes", face)


def _three_channels(frame: np.ndarray) -> np.ndarray:
  """The frame as (H, W, 3) uint8."""
  if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or not frame.size:
    shape = getattr(frame, "shape", type(frame).__name__)
    dtype = f" {frame.dtype}" if hasattr(frame, "dtype") else ""
    raise ValueError(f"no frame: {shape}{dtype}, expected (H, W, 3) or (H, W) uint8")
  if frame.ndim == 2 or frame.shape[2:] == (1,):
    return cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)
  if frame.shape[2:] != (3,):
    raise ValueError(f"no frame: {frame.shape}, expected (H, W, 3) or (H, W) uint8")
  return np.ascontiguousarray(frame)


def _levels(picture: np.ndarray) -> np.ndarray:
  """(256,) uint8: new levels that spread a picture's greys from black to white."""
  grey = cv2.cvtColor(np.ascontiguousarray(picture[::2, ::2]), cv2.COLOR_RGB2GRAY)
  low, high = np.percentile(grey, (1, 99))
  levels = (np.arange(256) - low) * (255 / max(high - low, 16))
  return np.clip(levels.round(), 0, 255).astype(np.uint8)


def _distinct(faces: list[Face]) -> list[Face]:
  """The faces without those that sit on a more confident one."""
  kept: list[Face] = []
  for face in sorted(faces, key=lambda face: -face.confidence):
    middle = face.eyes.mean(0)
    if all(np.linalg.norm(middle - o.eyes.mean(0)) > o.eye_distance / 2 for o in kept):
      kept.append(face)
  return kept


def _turn(picture: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
  """The picture turned about its middle, all of it, and the (2, 3) way back."""
  height, width = picture.shape[:2]
  matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
  columns, rows = np.ceil(np.abs(matrix[:, :2]) @ (width, height)).astype(int).tolist()
  matrix[:, 2] += (columns - width) / 2, (rows - height) / 2
  turned = cv2.warpAffine(picture, matrix, (columns, rows))
  return turned, cv2.invertAffineTransform(matrix)


def _mapped(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
  return points @ matrix[:, :2].T + matrix[:, 2]
