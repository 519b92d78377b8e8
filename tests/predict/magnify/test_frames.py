"""The magnifier that ships, on frames in memory."""

import numpy as np
import pytest

from infusenet_jax import magnify
from tests.predict.films import face


def test_motion_grows_and_rest_stays():
  onset, apex = face(0)[96:181, 48:133], face(0.5)[96:181, 48:133]  # 85 x 85: odd.
  first, second = magnify([onset, apex], amp=8)
  assert first.shape == second.shape == onset.shape and second.dtype == np.uint8
  still = np.abs(first.astype(int) - onset)
  moved = np.abs(second.astype(int) - first).mean()
  assert still.mean() < 8
  assert moved > 3 * np.abs(apex.astype(int) - onset).mean()


@pytest.mark.parametrize(
  ("frames", "amp", "reason"),
  [
    (np.zeros((2, 32, 32, 3)), 10, "float64"),
    (np.zeros((2, 32, 32), np.uint8), 10, "expected uint8"),
    (np.zeros((2, 8, 32, 3), np.uint8), 10, "16 pixels"),
    (np.zeros((0, 32, 32, 3), np.uint8), 10, "16 pixels"),
    (np.zeros((2, 32, 32, 3), np.uint8), 0.5, "amp is 0.5"),
  ],
)
def test_what_cannot_be_magnified(frames, amp, reason):
  with pytest.raises(ValueError, match=reason):
    magnify(frames, amp)
