"""Follows one face through a video: detections now and then, in between its texture.

A crop keeps its place in the frame until the head has moved by `_SLACK` in it, so that
most neighbouring crops are sampled alike; what is left of the head's motion is taken
away later (motion.py). Memory does not grow with the video but for a row per frame.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from infusenet_jax.clips.faces.alignment import Face, from_eyes, warp
from infusenet_jax.clips.faces.detector import FaceDetector
from infusenet_jax.predict.findings import Frames
from infusenet_jax.predict.watch.motion import POINTS, SIZE, Motion, moved_lately

_EVERY = 0.5  # Seconds between detections of a face that is followed.
_WHOLE = 4.0  # Seconds between searches of the whole frame, which count faces.
_LOST = (0.1, 1.0)  # Seconds to the next search for a lost face: at first, at most.
_AROUND = 1.2  # What is searched beside a followed face's box, in its sides.
_HEIGHT = 480  # The whole frame is searched shrunk to this shorter side, pixels.
_FACE = 120  # A followed face is searched for shrunk to about this height, pixels.
_SAME = 0.6  # A face is the same if its middle moved less, in sides of its box.
_SLACK = 1.5  # Pixels of the crop that the head may move before it is cropped anew.
_ASTRAY = 0.2  # Distances between the eyes: a detection so far off corrects the track.
_MISSES = 3  # Detections that may miss a face whose texture is still followed.
_LEAST = 24  # Pixels: nothing smaller is searched.
_PARTS = 0.4  # Least share of the texture that moves as one head.


@dataclass(frozen=True)
class Seen:
  """A frame and the face that is followed in it, if it is there."""

  number: int
  seconds: float
  face: Face | None = None  # In the frame's pixels.
  crop: np.ndarray | None = None  # (SIZE, SIZE) uint8, grey, aligned coarsely.
  fresh: bool = False  # Aligned anew: the crop before does not compare with it.


class Tracker:
  """Follows one face from frame to frame.

  Attributes:
    faces: the most that were seen in one frame.
  """

  def __init__(self, face: int = 0, face_model: Path | None = None):
    """`face` is which to follow, the largest being 0; `face_model` as `FaceDetector`'s.

    Raises:
      UserError: there is no detector.
    """
    self.faces = 0
    self._wanted = face
    self._detector = FaceDetector(face_model)
    self._held: _Held | None = None
    self._last: Face | None = None  # Where it was, also once lost.
    self._next = self._next_whole = -np.inf  # Times of the next searches.
    self._wait, self._misses = _LOST[0], 0

  def see(self, number: int, seconds: float, image: np.ndarray) -> Seen:
    """Finds the face in the next frame, (H, W, 3) uint8, red-green-blue."""
    if self._held is not None and not self._held.follow(image):
      self._held, self._next, self._wait = None, -np.inf, _LOST[0]
    fresh = seconds >= self._next and self._search(image, seconds)
    if self._held is None:
      return Seen(number, seconds)
    self._last = self._held.face
    return Seen(number, seconds, self._last, self._held.crop, fresh)

  def _search(self, image: np.ndarray, seconds: float) -> bool:
    """Looks for the face; whether it has to be aligned anew."""
    held, face = self._held, None
    if held is not None:
      self._last = held.face
      if seconds < self._next_whole:
        face = self._same(self._find_around(image))
    if face is None:
      faces = self._find(image)
      self.faces = max(self.faces, len(faces))
      self._next_whole = seconds + _WHOLE
      face = self._choose(faces)
    if face is None:
      self._miss(seconds)
      return False
    self._misses, self._wait, self._next = 0, _LOST[0], seconds + _EVERY
    if held is not None:
      off = np.linalg.norm(held.face.eyes - face.eyes, axis=1).max()
      if off < _ASTRAY * face.eye_distance:
        held.renew(image, face.confidence)
        return False
    self._held = _Held(image, face)
    return True

  def _miss(self, seconds: float) -> None:
    """What is to be done when the detector finds no face, or not that one."""
    if self._held is None:
      self._wait = min(2 * self._wait, _LOST[1])
      self._next = seconds + self._wait
      return
    # Perhaps turned away for a moment: its texture is still there.
    self._misses += 1
    self._next = seconds + _LOST[0]
    if self._misses > _MISSES:
      self._held = None

  def _choose(self, faces: list[Face]) -> Face | None:
    if self._last is None:
      return faces[self._wanted] if len(faces) > self._wanted else None
    if (same := self._same(faces)) is not None:
      return same
    # It came back elsewhere, or somebody else did: nothing tells them apart.
    return faces[0] if faces and self._held is None else None

  def _same(self, faces: list[Face]) -> Face | None:
    """The face that is where the followed one was."""
    last = self._last

    def far(face: Face) -> float:
      return np.linalg.norm(face.eyes.mean(0) - last.eyes.mean(0)) / last.side

    near = [f for f in faces if far(f) < _SAME and 0.5 < f.side / last.side < 2]
    return min(near, key=far, default=None)

  def _find(self, image: np.ndarray) -> list[Face]:
    """All faces in the frame, the largest first."""
    return self._found(image, np.zeros(2), min(1.0, _HEIGHT / min(image.shape[:2])))

  def _find_around(self, image: np.ndarray) -> list[Face]:
    """Faces about where the followed one was."""
    left, top, width, height = self._last.box
    reach = _AROUND * max(width, height)
    size = image.shape[1::-1]
    low = np.clip((left - reach, top - reach), 0, size).astype(int)
    high = np.clip((left + width + reach, top + height + reach), 0, size).astype(int)
    if (high - low).min() < _LEAST:
      return []
    part = image[low[1] : high[1], low[0] : high[0]]
    return self._found(part, low, min(1.0, _FACE / max(width, height)))

  def _found(self, image, corner: np.ndarray, scale: float) -> list[Face]:
    small = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    if scale < 1:
      small = cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    shift = corner + 0.5 / scale - 0.5
    back = np.array([[1 / scale, 0, shift[0]], [0, 1 / scale, shift[1]]])
    return [_mapped_face(face, back) for face in self._detector.find(small)]


class _Held:
  """A face that was found, and its texture, which is followed until it is found again.

  Attributes:
    crop: (SIZE, SIZE) uint8, grey, of the last frame.
  """

  def __init__(self, image: np.ndarray, face: Face):
    self._matrix = from_eyes(*face.eyes, SIZE)  # Frame to crop.
    self._moved = np.eye(2, 3)  # How the head moved in the crop since it was aligned.
    self._in_crop = _mapped_face(face, self._matrix)
    self._align(image)
    self._remember()

  @property
  def face(self) -> Face:
    """Where it is in the last frame."""
    back = cv2.invertAffineTransform(self._matrix)
    return _mapped_face(self._in_crop, _compose(back, self._moved))

  def follow(self, image: np.ndarray) -> bool:
    """Finds the texture in the next frame; False: it is not there."""
    self.crop = _crop(image, self._matrix)
    there, found, _ = cv2.calcOpticalFlowPyrLK(
      self._old, self.crop, self._texture, None, winSize=(15, 15), maxLevel=3
    )
    found = found.ravel() == 1
    if found.sum() < 8:
      return False
    moved, kept = cv2.estimateAffinePartial2D(
      self._texture[found], there[found], ransacReprojThreshold=2.0
    )
    if moved is None or kept.sum() < _PARTS * len(self._texture):
      return False
    if not 0.75 < np.hypot(*moved[:, 0]) < 1.33 or _shift(moved) > SIZE / 2:
      return False
    self._moved = moved
    if _shift(moved) > _SLACK:
      self._align(image)
    return True

  def renew(self, image: np.ndarray, confidence: float) -> None:
    """Follows the texture of now from now on; where the face lies in it is kept."""
    self._in_crop = replace(self._in_crop, confidence=confidence)
    self._align(image)
    self._remember()

  def _align(self, image: np.ndarray) -> None:
    """Puts the head in its place in the crop again."""
    self._matrix = _compose(cv2.invertAffineTransform(self._moved), self._matrix)
    self._moved = np.eye(2, 3)
    self.crop = _crop(image, self._matrix)

  def _remember(self) -> None:
    self._old = self.crop
    corners = cv2.goodFeaturesToTrack(self._old, 60, 0.01, 4, mask=_FACE_MASK)
    grid = _GRID if corners is None or len(corners) < 20 else corners
    self._texture = grid.astype(np.float32)


def follow(
  frames: Iterable[tuple[int, float, np.ndarray]],
  face: int = 0,
  face_model: Path | None = None,
  watch: Callable[[Seen], None] | None = None,
) -> tuple[Frames, int]:
  """Follows one face through a video and measures how its parts move.

  Args:
    frames: (number, seconds, image): times rise; images are (H, W, 3) uint8,
      red-green-blue. They are taken one by one and not kept.
    face: which one to follow, 0 is the largest in the first frame that has so many.
    face_model: YuNet's, instead of MTCNN.
    watch: is told of every frame.

  Returns:
    A row per frame, and the most faces that were seen in one frame.

  Raises:
    UserError: there is no face detector.
  """
  tracker, motion = Tracker(face, face_model), Motion()
  rows, faces = [], []
  for number, seconds, image in frames:
    seen = tracker.see(number, seconds, image)
    if watch:
      watch(seen)
    rows.append((seen.number, seen.seconds))
    faces.append(seen.face)
    if seen.face is not None:
      motion.add(seen.crop, seen.seconds, seen.fresh or faces[-2:-1] == [None])
  return _frames(rows, faces, motion.finish()), tracker.faces


def _frames(rows, faces: list[Face | None], paths: np.ndarray) -> Frames:
  count = len(rows)
  success = np.array([face is not None for face in faces], bool)
  seconds = np.array([s for _, s in rows], float)
  confidence, box = np.full(count, np.nan), np.full((count, 4), np.nan)
  eyes = np.full((count, 2, 2), np.nan)
  path = np.full((count, len(POINTS), 2), np.nan, np.float32)
  there = [face for face in faces if face is not None]
  if there:
    confidence[success] = [face.confidence for face in there]
    box[success] = [face.box for face in there]
    eyes[success] = [face.eyes for face in there]
    path[success] = paths
  return Frames(
    number=np.array([n for n, _ in rows], np.int64),
    seconds=seconds,
    success=success,
    confidence=confidence,
    box=box,
    eyes=eyes,
    motion=moved_lately(path, seconds),
    path=path,
  )


def _crop(image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
  """The (SIZE, SIZE) uint8 grey crop; only what it shows of the frame is made grey."""
  corners = np.array([[0, 0], [SIZE, 0], [0, SIZE], [SIZE, SIZE]]) - 0.5
  corners = _mapped(cv2.invertAffineTransform(matrix), corners)
  size = image.shape[1::-1]
  low = np.clip(np.floor(corners.min(0)) - 4, 0, np.subtract(size, 1)).astype(int)
  high = np.clip(np.ceil(corners.max(0)) + 4, low + 1, size).astype(int)
  part = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
  local = matrix.copy()
  local[:, 2] += matrix[:, :2] @ low
  return warp(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), local, SIZE)


def _shift(moved: np.ndarray) -> float:
  """The most that a corner of the face moves by a transform of the crop, pixels."""
  return float(np.linalg.norm(_mapped(moved, _CORNERS) - _CORNERS, axis=1).max())


def _compose(after: np.ndarray, before: np.ndarray) -> np.ndarray:
  """The transform (2, 3) that first does `before`."""
  return np.column_stack(
    [after[:, :2] @ before[:, :2], after[:, :2] @ before[:, 2] + after[:, 2]]
  )


def _mapped(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
  return points @ matrix[:, :2].T + matrix[:, 2]


def _mapped_face(face: Face, matrix: np.ndarray) -> Face:
  """The face where a similarity puts it; its box stays upright."""
  size = np.hypot(*matrix[:, 0]) * face.box[2:]
  centre = _mapped(matrix, face.box[:2] + face.box[2:] / 2)
  box = np.concatenate([centre - size / 2, size])
  return Face(box, face.confidence, _mapped(matrix, face.landmarks))


# The face's corners, and texture where a face shows none, in the crop.
_CORNERS = SIZE * np.array([[0.15, 0.15], [0.85, 0.15], [0.15, 0.85], [0.85, 0.85]])
_GRID = np.float32(
  [[[x, y]] for x in np.linspace(0.25, 0.75, 6) for y in np.linspace(0.2, 0.7, 6)]
) * np.float32(SIZE)
_FACE_MASK = np.zeros((SIZE, SIZE), np.uint8)
cv2.ellipse(
  _FACE_MASK, (SIZE // 2, SIZE // 2), (round(0.4 * SIZE), round(0.46 * SIZE)),
  0, 0, 360, 255, -1,
)  # fmt: skip
