"""Two spotters of the literature that need no training, for comparison.

Both see the same aligned crops as ours, at most `RATE` a second, and measure flow with
OpenCV's DIS. Both are written from descriptions and are only like the published ones.

`MainDirection` is like the main directional maximal difference of Wang, Wu, Qian, Yan
and Fu (Multimedia Tools and Applications 76, 2017). `Nose` is like the regional flow
that the winners of the spotting challenges of 2021 to 2023 used. They share a rule for
peaks (Moilanen, Zhao and Pietikainen, ICPR 2014): a smoothed score, threshold
mean + p (max - mean), peaks at least k apart, interval = peak +- k.
"""

import cv2
import numpy as np

from infusenet_jax.benchmark.spotting.metric import Span
from infusenet_jax.clips.faces.alignment import EYES_APART, EYES_CENTRE
from infusenet_jax.predict.watch.motion import SIZE

RATE = 30.0  # That of CAS(ME)^2, which they were made for.
HALF = 0.175  # k, seconds: half a mean micro-expression.
_BLOCKS = 6  # Along each side of the crop.
_DIRECTIONS = 4
_TOP = 3  # One vector, and one block, in so many counts: the largest ones.
_WINDOW = 1.0  # Seconds for which a reference frame serves.
_RISE = 1.0  # % of the distance between the eyes: less is no motion.
_PATCHES = (
  *((s * 0.25, -0.38) for s in (-1, 1)),  # Brows, inner and outer.
  *((s * 0.72, -0.36) for s in (-1, 1)),
  *((s * 0.85, 0.02) for s in (-1, 1)),  # Outside of the eyelids.
  *((s * 0.28, 0.66) for s in (-1, 1)),  # Wings of the nose.
  *((s * 0.42, 1.17) for s in (-1, 1)),  # Corners of the mouth.
  (0.0, 1.05),
  (0.0, 1.32),
)
_NOSE = (0.0, 0.25)  # The bridge.
_SIDE = 0.3  # Of a patch, distances between the eyes.
_LARGEST = 0.25  # Share of a patch's vectors that count.
_SMOOTH = 2.0  # Hz: slower motion passes.


def _rows(position: tuple[float, float]) -> tuple[slice, slice]:
  """The pixels of a patch in the crop."""
  x, y = (
    SIZE * (c + EYES_APART * v) for c, v in zip(EYES_CENTRE, position, strict=True)
  )
  half = SIZE * EYES_APART * _SIDE / 2
  low, high = np.clip((y - half, y + half), 0, SIZE).round().astype(int)
  left, right = np.clip((x - half, x + half), 0, SIZE).round().astype(int)
  return slice(low, high), slice(left, right)


class _Dis:
  """Dense flow (SIZE, SIZE, 2) between two crops."""

  def __init__(self):
    self._dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

  def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return self._dis.calc(first, second, None)


class MainDirection:
  """Motion that is there in the middle of an interval and gone at its end."""

  def __init__(self, rate: float):
    """`rate` is the crops' a second."""
    self._k = max(1, round(HALF * rate))
    self._flow, self._crops, self.scores = _Dis(), [], []

  def add(self, crop: np.ndarray) -> None:
    """Adds the next crop, (SIZE, SIZE) uint8."""
    self._crops = [*self._crops[-2 * self._k :], crop]
    if len(self._crops) == 2 * self._k + 1:
      first, middle, last = (self._crops[i] for i in (0, self._k, -1))
      self.scores.append(
        _difference(self._flow(first, middle), self._flow(first, last))
      )

  def spans(self, share: float) -> list[Span]:
    """The intervals, in crops; `share` is the p of the rule for peaks."""
    scores, k = np.array(self.scores), self._k
    if len(scores) < 2 * k + 1:
      return []
    relative = np.zeros(len(scores))
    middle = scores[k:-k] - (scores[: -2 * k] + scores[2 * k :]) / 2
    relative[k:-k] = np.maximum(middle, 0)
    return [(a + k, b + k) for a, b in peak_rule(relative, k, share)]


def _difference(to_middle: np.ndarray, to_last: np.ndarray) -> float:
  """How much further skin is at the middle than at the end, in its main direction."""
  length, angle = cv2.cartToPolar(to_middle[..., 0], to_middle[..., 1])
  further = length - np.linalg.norm(to_last, axis=-1)
  way = (angle / (2 * np.pi) * _DIRECTIONS).astype(int) % _DIRECTIONS
  side = SIZE // _BLOCKS
  blocks = []
  for i in range(_BLOCKS):
    for j in range(_BLOCKS):
      part = slice(i * side, (i + 1) * side), slice(j * side, (j + 1) * side)
      main = np.bincount(way[part].ravel(), minlength=_DIRECTIONS).argmax()
      values = np.sort(further[part][way[part] == main])
      blocks.append(values[-max(1, len(values) // _TOP) :].mean())
  blocks = np.sort(blocks)
  return float(blocks[-len(blocks) // _TOP :].mean())


class Nose:
  """Regions that move against the bridge of the nose, since a reference frame."""

  def __init__(self, rate: float):
    """`rate` is the crops' a second."""
    self._rate, self._k = rate, max(1, round(HALF * rate))
    self._window = max(4, round(_WINDOW * rate))
    self._flow, self._count = _Dis(), 0
    self._open: list[tuple[int, np.ndarray, list[np.ndarray]]] = []
    self.curves: list[tuple[int, np.ndarray]] = []  # Its first crop, (n, patches).

  def add(self, crop: np.ndarray) -> None:
    """Adds the next crop, (SIZE, SIZE) uint8."""
    if self._count % max(1, self._window // 2) == 0:
      self._open.append((self._count, crop, []))
    for _, reference, values in self._open:
      values.append(_patches(self._flow(reference, crop)))
    while self._open and len(self._open[0][2]) == self._window:
      start, _, values = self._open.pop(0)
      self.curves.append((start, np.array(values)))
    self._count += 1

  def spans(self, share: float) -> list[Span]:
    """The intervals, in crops; `share` is the p of the rule for peaks."""
    rises, windows = np.zeros(self._count), np.zeros(self._count)
    sigma = self._rate / (2 * np.pi * _SMOOTH)
    for start, curve in self.curves:
      size = (1, 2 * int(3 * sigma) + 1)
      smooth = cv2.GaussianBlur(curve, size, 1e-6, sigmaY=sigma)
      rise = smooth - np.minimum(smooth[0], smooth[-1])
      rises[start : start + len(rise)] += rise.max(1)
      windows[start : start + len(rise)] += 1
    score = rises / np.maximum(windows, 1)
    spans = peak_rule(score, self._k, share)
    return [(a, b) for a, b in spans if score[a : b + 1].max() > _RISE]


def _patches(flow: np.ndarray) -> np.ndarray:
  """(patches,) mean of the largest motions in each, % of the distance between eyes."""
  flow = flow - flow[_rows(_NOSE)].reshape(-1, 2).mean(0)
  values = []
  for place in _PATCHES:
    length = np.sort(np.linalg.norm(flow[_rows(place)].reshape(-1, 2), axis=1))
    values.append(length[-max(1, round(_LARGEST * len(length))) :].mean())
  return 100 / (EYES_APART * SIZE) * np.array(values)


def peak_rule(score: np.ndarray, k: int, share: float) -> list[Span]:
  """Peaks of the smoothed score above mean + share (max - mean), each +- k.

  No two are less than k apart; it is smoothed by a box of 2 k frames.

  Args:
    score: (n,).
    k: in frames.
    share: p, in [0, 1].
  """
  if len(score) < 2 * k + 1:
    return []
  score = np.convolve(score, np.full(2 * k, 1 / (2 * k)), "same")
  threshold = score.mean() + share * (score.max() - score.mean())
  higher = np.maximum(score[:-2], score[2:], dtype=float)
  peak = np.concatenate([[False], score[1:-1] >= higher, [False]])
  kept: list[int] = []
  for at in np.argsort(-score, kind="stable").tolist():
    if peak[at] and score[at] > threshold and all(abs(at - o) >= k for o in kept):
      kept.append(at)
  return sorted((max(0, at - k), min(len(score) - 1, at + k)) for at in kept)
