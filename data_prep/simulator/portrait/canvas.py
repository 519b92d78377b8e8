"""The canvas that faces are drawn on, in face coordinates, and shapes drawn on it.

Lengths are in distances between the pupils; the origin is between the eyes, x runs to
the right of the picture and y down.
"""

import cv2
import numpy as np

# Pixels per distance between the pupils, and the canvas's corner and size in that unit.
PIXELS = 144
LEFT, TOP, WIDTH, HEIGHT = -1.75, -2.4, 3.5, 4.8
SHAPE = (round(HEIGHT * PIXELS), round(WIDTH * PIXELS))
SIDES = (-1, 1)  # Left and right in the picture.


def grid(step: int = 1) -> tuple[np.ndarray, np.ndarray]:
  """Returns the face coordinates x and y of every `step`-th canvas pixel, float32."""
  x = LEFT + np.arange(0, SHAPE[1], step, dtype=np.float32) / PIXELS
  y = TOP + np.arange(0, SHAPE[0], step, dtype=np.float32) / PIXELS
  return tuple(np.meshgrid(x, y))


def bump(x, y, centre_x, centre_y, sigma_x, sigma_y) -> np.ndarray:
  """Evaluates a Gaussian of height 1 at (x, y)."""
  u, v = (x - centre_x) / sigma_x, (y - centre_y) / sigma_y
  return np.exp(-0.5 * (u * u + v * v))


def smooth_step(x, low, high) -> np.ndarray:
  """Rises smoothly from 0 at `low` to 1 at `high`; falls if `low` exceeds `high`."""
  t = np.clip((x - low) / (high - low), 0, 1)
  return t * t * (3 - 2 * t)


def _to_canvas(points: np.ndarray) -> np.ndarray:
  """Transforms face coordinates to 1/16 canvas pixels, as OpenCV's drawing wants."""
  return np.round(16 * PIXELS * (points - (LEFT, TOP))).astype(np.int32)


def disc(image, x, y, radius, value) -> None:
  centre = _to_canvas(np.array((x, y)))
  cv2.circle(image, tuple(centre.tolist()), round(16 * PIXELS * radius), value, -1,
             cv2.LINE_AA, 4)  # fmt: skip


def lines(image, start, end, value, thickness) -> None:
  for a, b in zip(_to_canvas(start).tolist(), _to_canvas(end).tolist(), strict=True):
    cv2.line(image, a, b, value, thickness, cv2.LINE_AA, 4)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
  return cv2.GaussianBlur(image.astype(np.float32) / 255, (0, 0), sigma)
