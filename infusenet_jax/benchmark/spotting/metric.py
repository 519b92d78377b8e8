"""The spotting metric of the micro-expression grand challenges, without known faults.

An interval is a set of frames, both ends inclusive. A prediction is right if its
intersection over union with a true interval is at least 0.5; each matches one at most.
Counts are summed over all videos, those without truth or predictions too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LEAST_OVERLAP = 0.5

Span = tuple[int, int]  # First and last frame.


def overlap(first: Span, second: Span) -> float:
  """Intersection over union, in [0, 1]."""
  shared = min(first[1], second[1]) - max(first[0], second[0]) + 1
  whole = max(first[1], second[1]) - min(first[0], second[0]) + 1
  return max(0, shared) / whole


def match(predicted: Sequence[Span], true: Sequence[Span]) -> dict[int, int]:
  """Which true interval (value) each right prediction (key) matches, by their places.

  The best overlaps first; no prediction and no interval matches twice.
  """
  pairs = sorted(
    (-overlap(p, t), i, j)
    for i, p in enumerate(predicted)
    for j, t in enumerate(true)
    if overlap(p, t) >= LEAST_OVERLAP
  )
  matched: dict[int, int] = {}
  for _, i, j in pairs:
    if i not in matched and j not in matched.values():
      matched[i] = j
  return matched


@dataclass(frozen=True)
class Counts:
  """Right predictions, wrong ones and intervals that none matches."""

  right: int = 0
  wrong: int = 0
  missed: int = 0

  def __add__(self, other: "Counts") -> "Counts":
    return Counts(
      self.right + other.right, self.wrong + other.wrong, self.missed + other.missed
    )

  @property
  def precision(self) -> float:
    """Share of the predictions that are right; NaN if there are none."""
    return _ratio(self.right, self.right + self.wrong)

  @property
  def recall(self) -> float:
    """Share of the true intervals that were found; NaN if there are none."""
    return _ratio(self.right, self.right + self.missed)

  @property
  def f1(self) -> float:
    """2 TP / (2 TP + FP + FN); NaN where nothing was to be found or was."""
    return _ratio(2 * self.right, 2 * self.right + self.wrong + self.missed)


def count(videos: Iterable[tuple[Sequence[Span], Sequence[Span]]]) -> Counts:
  """Sums over videos, each with what was predicted and what is true."""
  total = Counts()
  for predicted, true in videos:
    right = len(match(predicted, true))
    total += Counts(right, len(predicted) - right, len(true) - right)
  return total


def _ratio(part: int, whole: int) -> float:
  return part / whole if whole else float("nan")
