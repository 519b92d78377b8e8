"""Motion of a face's parts: the head's own taken away, carried over references."""

import numpy as np
import pytest

from infusenet_jax.clips.faces.alignment import EYES_APART, EYES_CENTRE
from infusenet_jax.predict.findings import REGIONS
from infusenet_jax.predict.watch import motion
from infusenet_jax.predict.watch.motion import BATCH, POINTS, REFERENCE, SIZE, Motion

NAMES = [name for name, _, _ in POINTS]
UNIT = EYES_APART * SIZE  # Pixels between the eyes.


def place() -> tuple[np.ndarray, np.ndarray]:
  """Face coordinates (SIZE, SIZE) of the crop's pixels."""
  pixel = (np.arange(SIZE) + 0.5) / SIZE
  return np.meshgrid(*((pixel - c) / EYES_APART for c in EYES_CENTRE))


def local(x: float, y: float, length: float) -> np.ndarray:
  """Flow (SIZE, SIZE, 2) downwards about a point of the face alone, in pixels."""
  u, v = place()
  flow = np.zeros((SIZE, SIZE, 2), np.float32)
  flow[..., 1] = length * np.exp(-0.5 * (((u - x) / 0.2) ** 2 + ((v - y) / 0.2) ** 2))
  return flow


def test_every_region_has_points():
  assert set(NAMES) == set(REGIONS)


def test_a_moving_head_moves_no_part_of_the_face():
  u, v = place()
  flow = np.stack([3 + 0.5 * u - 0.3 * v, -2 + 0.3 * u + 0.5 * v], -1)
  assert np.abs(motion.points_moved(flow.astype(np.float32))).max() < 0.05


@pytest.mark.parametrize("index", range(len(POINTS)))
def test_a_part_that_moves_is_told_from_the_head(index):
  _, x, y = POINTS[index]
  u, v = place()
  head = np.stack([2 + 0.2 * u, 1 + 0.2 * v], -1).astype(np.float32)
  moved = motion.points_moved(head + local(x, y, 0.8))
  assert moved[index, 1] == pytest.approx(100 * 0.8 / UNIT, rel=0.35)
  far = [i for i, p in enumerate(POINTS) if np.hypot(p[1] - x, p[2] - y) > 0.8]
  assert np.abs(moved[far]).max() < 0.25


def test_paths_go_on_when_the_reference_moves(monkeypatch):
  # A crop's grey stands for where the chin is, in tenths of a pixel.
  chin = NAMES.index("chin")
  shape = local(*POINTS[chin][1:], 1.0)

  def flow(first, second):
    moved = (second[:, 0, 0] - first[:, 0, 0]) / 10
    return moved[:, None, None, None] * shape

  monkeypatch.setattr(motion, "optical_flow", flow)
  seconds = np.arange(0, 4 * REFERENCE, 1 / 30)
  greys = (4 + 4 * np.sin(3 * seconds)).round()
  measured = Motion()
  for grey, time in zip(greys, seconds, strict=True):
    measured.add(np.full((SIZE, SIZE), grey, np.uint8), time, fresh=time == 0)
  path = measured.finish()
  assert path.shape == (len(seconds), len(POINTS), 2)
  alone = motion.points_moved(shape)[chin, 1]
  np.testing.assert_allclose(
    path[:, chin, 1], (greys - greys[0]) / 10 * alone, atol=0.02
  )


@pytest.mark.parametrize("before", (2, BATCH))
def test_after_a_new_alignment_nothing_jumps(monkeypatch, before):
  chin = NAMES.index("chin")
  shape = local(*POINTS[chin][1:], 1.0)
  monkeypatch.setattr(
    motion, "optical_flow", lambda a, b: (b - a)[:, :1, :1, None] * shape / 10
  )
  measured = Motion()
  for number in range(before + 3):
    crop = np.full((SIZE, SIZE), number if number < before else 90, np.uint8)
    measured.add(crop, number / 100, fresh=number in (0, before))
  path = measured.finish()[:, chin, 1]
  assert path[before - 1] > 0
  np.testing.assert_allclose(path[before:], path[before - 1], atol=1e-5)


def test_motion_of_a_moment_ago():
  seconds = np.arange(30) / 30
  path = np.zeros((30, len(POINTS), 2))
  path[15:, NAMES.index("chin"), 1] = -2.0
  path[3:6] = np.nan
  moved = motion.moved_lately(path, seconds)
  chin = moved[:, REGIONS.index("chin")]
  assert np.isnan(chin[3:6]).all() and not np.isnan(chin[6:]).any()
  assert chin[14] == 0 and chin[15] == 2 and chin[20] == 2 and chin[25] == 0
  assert not np.delete(moved[6:], REGIONS.index("chin"), 1).any()
