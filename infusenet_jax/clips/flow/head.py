"""The head's own motion in the flow of an aligned crop; flow and crops without it.

A head that shifts, turns or comes nearer moves all of its skin, which hides the action
units. Seen from afar a rigid body moves by

  h(x, y) = a + b x + c y + d depth(x, y),

a shift, a plane that turns or comes nearer, and the parallax of what is nearer. The
coefficients, (2,) each, are fitted to the whole face by iteratively reweighted least
squares with Geman and McClure's weights: the scale of these is the median of what the
head leaves, so that action units are outliers however noisy the flow is. All but the
shift are drawn towards 0, the more the less they explain beside that scale: noise and
action units would pass for turns otherwise, and a true turn is hardly changed.
"""

import functools

import cv2
import numpy as np

from infusenet_jax.clips.faces.alignment import EYES_APART, EYES_CENTRE

NODES = 28  # Along each side of a crop, to which flow is averaged before a fit.
_ROUNDS = 8  # Of the robust fit.
_PRIOR = 0.5  # Most weight of what draws to 0, against that of the face.
_LEAST = 1e-4  # Pixels: the scale gets no finer.


def head_motion(flow: np.ndarray) -> np.ndarray:
  """Fits the head's own motion to the flow between two crops.

  Args:
    flow: (S, S, 2) in pixels, from a crop that is aligned as `clips.faces.alignment`
      does it to one of a later frame under the same alignment.

  Returns:
    (S, S, 2) float32, in pixels: how far each point of a rigid head went.

  Raises:
    ValueError: the flow is of another shape, or not finite.
  """
  flow = np.asarray(flow, np.float32)
  if flow.ndim != 3 or flow.shape[0] != flow.shape[1] or flow.shape[2] != 2:
    raise ValueError(f"flow is {flow.shape}; expected (S, S, 2)")
  if not np.isfinite(flow).all():
    raise ValueError("flow is not finite; expected pixels")
  nodes, columns, face = to_nodes(flow), basis(NODES), _face()
  middle = face @ columns / face.sum() * [0, 1, 1, 1]  # So that the shift is free.
  columns = columns - middle
  spread = face @ columns**2 / face.sum() * [0, 1, 1, 1]
  weights, prior = face, _PRIOR
  for _ in range(_ROUNDS):
    weighted = columns * weights[:, None]
    drawn = np.diag(prior * weights.sum() * spread)
    fit = np.linalg.solve(weighted.T @ columns + drawn, weighted.T @ nodes)
    off = ((nodes - columns @ fit) ** 2).sum(1)
    scale = max(float(np.median(off[face > 0.5])), _LEAST**2)
    weights = face / (1 + off / scale) ** 2
    turn = face @ ((columns[:, 1:] @ fit[1:]) ** 2).sum(1) / face.sum()
    prior = _PRIOR * scale / (scale + turn)
  size = len(flow)
  head = (basis(size) - middle) @ fit
  return head.reshape(size, size, 2).astype(np.float32)


def flow_without_head(flow: np.ndarray, head: np.ndarray) -> np.ndarray:
  """Computes the flow to the later crop with the head moved back.

  A point at x in the first crop is at x + flow(x) in the later one, so at x + r(x) with
  r(x) + head(x + r(x)) = flow(x) in that of `crop_without_head`.

  Args:
    flow: (S, S, 2) in pixels.
    head: (S, S, 2) from `head_motion`.

  Returns:
    r, (S, S, 2) float32.
  """
  rest = flow - head
  for _ in range(3):  # Each multiplies the error by how much the head stretches.
    rest = flow - _moved(head, rest, cv2.INTER_LINEAR)
  return rest


def crop_without_head(crop: np.ndarray, head: np.ndarray) -> np.ndarray:
  """Moves the head in a later crop back to where it was.

  Args:
    crop: (S, S) or (S, S, C), of the frame that the head moved to.
    head: (S, S, 2) from `head_motion`.

  Returns:
    An array like `crop`, which shows at x what the crop shows at x + head(x); cubics
    interpolate, and what was beyond the crop repeats its border.
  """
  return _moved(crop, head, cv2.INTER_CUBIC)


def _moved(image: np.ndarray, by: np.ndarray, way: int) -> np.ndarray:
  """The image (S, S, ...) at x + by(x)."""
  y, x = np.mgrid[: len(by), : len(by)].astype(np.float32)
  at = x + by[..., 0], y + by[..., 1]
  return cv2.remap(image, *at, way, borderMode=cv2.BORDER_REPLICATE)


def to_nodes(flow: np.ndarray) -> np.ndarray:
  """Averages flow (S, S, 2) to (NODES * NODES, 2)."""
  return cv2.resize(flow, (NODES, NODES), interpolation=cv2.INTER_AREA).reshape(-1, 2)


def places(side: int) -> tuple[np.ndarray, np.ndarray]:
  """Computes x and y, (side * side,) each, of a grid over a crop.

  In distances between the eyes from the point between them, x to the right, y down.
  """
  place = (np.arange(side) + 0.5) / side
  x, y = np.meshgrid(*((place - c) / EYES_APART for c in EYES_CENTRE))
  return x.ravel(), y.ravel()


@functools.lru_cache(maxsize=8)
def basis(side: int) -> np.ndarray:
  """Computes 1, x, y and a face's depth, (side * side, 4), on a grid over a crop."""
  x, y = places(side)
  # A face is a piece of an ellipsoid with a nose on it.
  depth = 1.0 * np.sqrt(np.clip(1 - (x / 1.3) ** 2 - ((y - 0.4) / 1.8) ** 2, 0.05, 1))
  depth += 0.3 * bump(x, y, 0, 0.55, 0.16, 0.28)
  return np.stack([np.ones_like(x), x, y, depth], 1)


@functools.cache
def _face() -> np.ndarray:
  """How much of each node is face, (NODES * NODES,) in [0, 1]."""
  return face(*places(NODES))


def face(x: np.ndarray, y: np.ndarray) -> np.ndarray:
  """Computes how much of each of `places` is face: 1 inside, 0 off it, a soft edge."""
  return np.clip((1 - np.hypot(x / 1.1, (y - 0.35) / 1.45)) / 0.15, 0, 1)


def bump(x, y, centre_x, centre_y, sigma_x, sigma_y) -> np.ndarray:
  """Computes a Gaussian bump of height 1 at points (x, y)."""
  return np.exp(
    -0.5 * (((x - centre_x) / sigma_x) ** 2 + ((y - centre_y) / sigma_y) ** 2)
  )
