"""The window apex: of the frames about the annotated apex the one that differs most.

Annotators miss the strongest moment by some frames; that of the largest difference from
the onset is looked for within 50 ms.
"""

import cv2
import numpy as np

SECONDS = 0.05  # Half-width of the window about the annotated apex.


def window_reach(fps: float) -> int:
  """How many frames from the apex the window apex may lie."""
  return int(SECONDS * fps + 1e-6)


def window_numbers(onset: int, apex: int, fps: float) -> range:
  """Numbers of the frames about an apex, never before the onset."""
  reach = window_reach(fps)
  return range(max(onset, apex - reach), apex + reach + 1)


class WindowApex:
  """The candidate whose crop differs most from the onset's, mean absolute difference.

  The apex itself where there is no candidate; the onset only if it is the only one.

  Attributes:
    number, crop: of the best candidate so far.
  """

  def __init__(self, onset: np.ndarray, apex: int, crop: np.ndarray):
    self._onset, self._largest = onset, -1.0
    self.number, self.crop = apex, crop

  def offer(self, number: int, crop: np.ndarray) -> None:
    """Looks at one candidate, other than the apex; of equal ones the first counts."""
    difference = cv2.norm(crop, self._onset, cv2.NORM_L1)
    if difference > self._largest:
      self.number, self.crop, self._largest = number, crop, difference
