"""How each part of a face moves, the head's own motion taken away.

Flow (clips/flow, which the light does not fool) is measured on small aligned crops,
from a reference to each frame that follows it; the reference itself moves on every
`REFERENCE` seconds, and what it had moved by then is carried along. What a head does is
fitted to the parts that no muscle moves, as that of the rigid body of
`clips.flow.head`; muscles are outliers. What is left is the path of each point of the
face, in % of the distance between the eyes: it drifts by what every new reference adds,
so only its changes over less than about a second mean something.
"""

import numpy as np

from infusenet_jax.clips.faces.alignment import EYES_APART
from infusenet_jax.clips.flow.head import (
  NODES,
  basis,
  bump,
  face,
  places,
  to_nodes,
)
from infusenet_jax.clips.flow.optical_flow import optical_flow
from infusenet_jax.predict.findings import REGIONS

SIZE = 112  # Side of the crops, pixels; the eyes are 39 apart.
REFERENCE = 0.4  # Seconds after which the reference moves on.
LAG = 0.2  # Seconds: `Frames.motion` compares with the face that long ago.
BATCH = 8  # Pairs whose flow is measured at once.

# Points of the face, in distances between the eyes from the point between them, x to
# the right and y down, and the region that each stands for. After FACS: where the 12
# action units of CD6ME and blinks move skin most.
_RIGHT = (
  ("brow_right", 0.78, -0.36),
  ("brow_right", 0.50, -0.40),
  ("brow_middle", 0.22, -0.37),
  ("eye_right", 0.50, -0.10),  # The upper lid comes before the lower one.
  ("eye_right", 0.50, 0.14),
  ("nose", 0.25, 0.62),
  ("cheek_right", 0.62, 0.44),
  ("mouth_right", 0.42, 1.17),
  ("mouth_right", 0.68, 1.14),  # Beside the corner, into which a dimple draws skin.
  ("lip_upper", 0.16, 1.07),
  ("lip_lower", 0.14, 1.29),
  ("chin", 0.11, 1.54),
)
POINTS = (
  *((name.replace("right", "left"), -x, y) for name, x, y in _RIGHT),
  *_RIGHT,
)
UPPER_LIDS = tuple(i for i, p in enumerate(POINTS) if p[0][:3] == "eye" and p[2] < 0)
_REACH = 0.10  # Sigma of a point's window, distances between the eyes.
_ROUNDS = 5  # Of the robust fit of the head's motion.
_OUTLIER = 0.12  # Pixels of flow off the head's motion that count a quarter.


class Motion:
  """The paths of a face's points, from its crops one by one, in order.

  Attributes:
    paths: per crop (P, 2) float32, P = len(POINTS), % of the distance between the eyes;
      shorter than the crops so far by what waits for a full batch: `finish` it.
  """

  def __init__(self):
    self.paths: list[np.ndarray] = []
    self._pairs: list[tuple[np.ndarray, np.ndarray, bool]] = []
    self._reference: np.ndarray | None = None
    self._since = 0.0
    self._carried = np.zeros((len(POINTS), 2), np.float32)

  def add(self, crop: np.ndarray, seconds: float, fresh: bool) -> None:
    """Adds a crop.

    Args:
      crop: (SIZE, SIZE) uint8, grey.
      seconds: its time.
      fresh: whether it is aligned anew, so that nothing before it compares with it.
    """
    if fresh or self._reference is None:
      self._carry_on()
      self._reference, self._since = crop, seconds
    moves_on = seconds - self._since >= REFERENCE
    self._pairs.append((self._reference, crop, moves_on))
    if moves_on:
      self._reference, self._since = crop, seconds
    if len(self._pairs) == BATCH:
      self._measure()

  def _carry_on(self) -> None:
    """Lets paths go on from where they are now, whatever the next reference."""
    if self._pairs:
      self._pairs[-1] = (*self._pairs[-1][:2], True)
    elif self.paths:
      self._carried = self.paths[-1]

  def finish(self) -> np.ndarray:
    """Measures what still waits; the paths of all crops, (N, P, 2) float32."""
    if self._pairs:
      self._measure()
    return np.stack(self.paths) if self.paths else np.empty((0, len(POINTS), 2))

  def _measure(self) -> None:
    count = len(self._pairs)
    pairs = self._pairs + self._pairs[-1:] * (BATCH - count)
    first, second = (np.stack([p[i] for p in pairs]) for i in (0, 1))
    flow = np.asarray(optical_flow(first.astype(np.float32), second.astype(np.float32)))
    for (_, _, moves_on), field in zip(self._pairs, flow[:count], strict=True):
      path = self._carried + points_moved(field)
      if moves_on:
        self._carried = path
      self.paths.append(path)
    self._pairs = []


def points_moved(flow: np.ndarray) -> np.ndarray:
  """How far the points moved on a head at rest.

  Args:
    flow: (SIZE, SIZE, 2), pixels of the crop.

  Returns:
    (P, 2) float32, % of the distance between the eyes.
  """
  nodes = to_nodes(flow)
  moved = _WINDOWS @ (nodes - basis(NODES) @ _head(nodes))
  return (100 / (EYES_APART * SIZE) * moved).astype(np.float32)


def _head(nodes: np.ndarray) -> np.ndarray:
  """Coefficients (4, 2) of the head's motion in the basis, robustly."""
  columns, weights = basis(NODES), _STABLE
  for _ in range(_ROUNDS):
    weighted = columns * weights[:, None]
    fit = np.linalg.solve(weighted.T @ columns + 1e-6 * np.eye(4), weighted.T @ nodes)
    off = ((nodes - columns @ fit) ** 2).sum(1)
    weights = _STABLE / (1 + off / _OUTLIER**2) ** 2  # Geman and McClure's.
  return fit


def _geometry() -> tuple[np.ndarray, np.ndarray]:
  """The stable parts of a head (N,) and the windows of the points (P, N)."""
  x, y = places(NODES)
  moving = sum(
    bump(x, y, side * cx, cy, sx, sy)
    for side in (-1, 1)
    for cx, cy, sx, sy in (
      (0.45, -0.4, 0.35, 0.14),
      (0.5, 0.02, 0.22, 0.14),
      (0.3, 1.17, 0.3, 0.25),
      (0.12, 1.55, 0.25, 0.2),
    )
  )
  stable = face(x, y) * np.clip(1 - 1.2 * moving, 0, 1)
  windows = np.stack([bump(x, y, cx, cy, _REACH, _REACH) for _, cx, cy in POINTS])
  return stable, windows / windows.sum(1, keepdims=True)


_STABLE, _WINDOWS = _geometry()


def by_region(values: np.ndarray) -> np.ndarray:
  """The largest value (..., R) of each region's points (..., P)."""
  of = {name: [i for i, p in enumerate(POINTS) if p[0] == name] for name in REGIONS}
  return np.stack([values[..., of[name]].max(-1) for name in REGIONS], -1)


def moved_lately(path: np.ndarray, seconds: np.ndarray) -> np.ndarray:
  """Motion (T, R) of each region since `LAG` seconds before.

  Args:
    path: (T, P, 2), NaN where there is no face.
    seconds: (T,), rising.

  Returns:
    Lengths in the unit of `path`; where the face was not there before, since it came.
  """
  before = np.searchsorted(seconds, seconds - LAG - 1e-6)
  there = np.isfinite(path).all((1, 2))
  came = _starts(there)
  moved = path - path[np.clip(np.maximum(before, came), 0, len(path) - 1)]
  return by_region(np.linalg.norm(moved, axis=-1))


def _starts(there: np.ndarray) -> np.ndarray:
  """For each row (T,), the first of the unbroken run of rows with a face it is in."""
  begins = there & ~np.concatenate([[False], there[:-1]])
  return np.maximum.accumulate(np.where(begins | ~there, np.arange(len(there)), 0))
