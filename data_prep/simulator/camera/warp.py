"""Poses of the head, and the maps from a frame's pixels back to the neutral face.

A frame pixel is taken to face coordinates q by the subject's placement, then back
through the head's pose, n = q - head(q), then back through the action units,
c = n - au(n). The portrait is looked up at c. Truth is the exact inverse of two such
maps, so it holds for the pictures as they were drawn.
"""

import dataclasses
import math

import cv2
import numpy as np

from data_prep.simulator.portrait import action_units, canvas, face

COARSE = 2  # Maps are computed on every second pixel and interpolated.
_PIVOT = (0.0, 1.3, -0.75)  # Where the head turns: the top of the neck.


@dataclasses.dataclass(frozen=True)
class Pose:
  """A small rigid motion of the head, in distances between the pupils and radians."""

  right: float = 0.0
  down: float = 0.0
  size: float = 0.0  # Relative growth by coming nearer.
  roll: float = 0.0
  yaw: float = 0.0
  pitch: float = 0.0

  def __add__(self, other: "Pose") -> "Pose":
    pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
    return Pose(*(a + b for a, b in pairs))


@dataclasses.dataclass(frozen=True)
class Placement:
  """Where a subject's neutral face lies in the frame."""

  centre: tuple[float, float]  # Pixel (x, y) of the point between the eyes.
  scale: float  # Pixels per distance between the pupils.
  roll: float  # Radians, clockwise in the picture.

  def to_face(self, x, y):
    """Transforms frame pixels to face coordinates."""
    cos, sin = math.cos(self.roll) / self.scale, math.sin(self.roll) / self.scale
    u, v = x - self.centre[0], y - self.centre[1]
    return cos * u + sin * v, cos * v - sin * u

  def to_frame(self, x, y):
    """Transforms face coordinates to frame pixels."""
    cos, sin = math.cos(self.roll) * self.scale, math.sin(self.roll) * self.scale
    return self.centre[0] + cos * x - sin * y, self.centre[1] + sin * x + cos * y

  def box(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Returns (top, bottom, left, right) of the canvas in a frame of (height, width).

    They are clipped to the frame, and even, so that the box has a half-size grid.
    """
    x = canvas.LEFT + np.array((0, 1, 0, 1)) * canvas.WIDTH
    y = canvas.TOP + np.array((0, 0, 1, 1)) * canvas.HEIGHT
    u, v = self.to_frame(x, y)
    top, bottom = np.clip((v.min(), v.max()), 0, size[0]).astype(int) // 2 * 2
    left, right = np.clip((u.min(), u.max()), 0, size[1]).astype(int) // 2 * 2
    return int(top), int(bottom), int(left), int(right)


class Warp:
  """The backward maps of one placed subject, over its box in the frame."""

  def __init__(self, placement: Placement, portrait: face.Portrait, size):
    self.placement = placement
    self.box = placement.box(size)
    top, bottom, left, right = self.box
    y, x = np.mgrid[top:bottom:COARSE, left:right:COARSE].astype(np.float32)
    x, y = x + (COARSE - 1) / 2, y + (COARSE - 1) / 2
    self.x, self.y = (v.astype(np.float32) for v in placement.to_face(x, y))
    at = _canvas(self.x, self.y, 1)
    self.depth = cv2.remap(portrait.depth, *at, cv2.INTER_LINEAR)
    self.rigid = cv2.remap(
      portrait.rigid, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )

  def neutral(self, pose: Pose) -> np.ndarray:
    """Maps the coarse grid to face coordinates (h, w, 2) before the head moved."""
    x, y = self.x - _PIVOT[0], self.y - _PIVOT[1]
    z = self.depth - _PIVOT[2]
    grow = pose.size
    dx = pose.right + grow * x - pose.roll * y + pose.yaw * z
    dy = pose.down + grow * y + pose.roll * x - pose.pitch * z
    return np.stack([self.x - self.rigid * dx, self.y - self.rigid * dy], -1)

  def canvas(self, neutral: np.ndarray, field: np.ndarray | None) -> np.ndarray:
    """Maps `neutral` to face coordinates (h, w, 2) on the portrait, before AUs moved.

    `field` is the displacement by action units (H, W, 2) in distances between the
    pupils, on the grid of `action_units`, or None.
    """
    if field is None:
      return neutral
    at = _canvas(neutral[..., 0], neutral[..., 1], action_units.STEP)
    return neutral - cv2.remap(field, *at, cv2.INTER_LINEAR)

  def on_skin(self, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Looks up `values` (H, W), on the grid of `action_units`, at `at` (h, w, 2)."""
    where = _canvas(at[..., 0], at[..., 1], action_units.STEP)
    return cv2.remap(values, *where, cv2.INTER_LINEAR)

  def locate(self, neutral: np.ndarray, x: float, y: float) -> np.ndarray:
    """Finds the frame's pixel (2,) that shows the point (x, y) of the neutral face.

    It solves neutral(p) = (x, y) as `flow` does; `neutral` is the map of the pose.
    """
    goal, left, top = np.array((x, y)), self.box[2], self.box[0]
    pixel = np.array(self.placement.to_frame(x, y))
    half = (COARSE - 1) / 2
    for _ in range(12):
      column, row = (pixel - (left, top) - half) / COARSE
      at = np.float32([[column]]), np.float32([[row]])
      there = cv2.remap(neutral, *at, cv2.INTER_LINEAR)[0, 0]
      step = self.placement.to_frame(*(goal - there))
      pixel += np.array(step) - self.placement.centre
    return pixel

  def full(self, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Makes cv2.remap's maps x and y in canvas pixels, (bottom - top, right - left)."""
    top, bottom, left, right = self.box
    fine = cv2.resize(coordinates, (right - left, bottom - top))
    return _canvas(fine[..., 0], fine[..., 1], 1)

  def flow(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Computes the flow (h, w, 2), in frame pixels, between two frames' `canvas` maps.

    It solves second(p + flow(p)) = first(p) by fixed-point iteration. Apart from the
    placement the maps are near-isometries, so that each iteration multiplies the error
    by about the strain.
    """
    scale = self.placement.scale
    cos, sin = (
      scale * math.cos(self.placement.roll),
      scale * math.sin(self.placement.roll),
    )
    turn = np.array(((cos, -sin), (sin, cos)), np.float32)
    rows, columns = np.mgrid[: first.shape[0], : first.shape[1]].astype(np.float32)
    flow = np.zeros_like(first)
    for _ in range(12):
      at = columns + flow[..., 0] / COARSE, rows + flow[..., 1] / COARSE
      there = cv2.remap(second, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
      flow += (first - there) @ turn.T
    return flow


def _canvas(x: np.ndarray, y: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
  """Transforms face coordinates to pixels of a grid of every `step`-th canvas pixel."""
  scale = canvas.PIXELS / step
  return (x - canvas.LEFT) * scale, (y - canvas.TOP) * scale
