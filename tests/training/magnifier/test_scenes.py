import cv2
import numpy as np
import pytest

from infusenet_jax.training.magnifier.scenes import (
  displace,
  draw_light,
  draw_pairs,
  draw_scene,
)


def _waves(x, y):
  return np.float32(0.5 + 0.2 * np.sin(0.21 * x + 0.3) * np.cos(0.17 * y))


@pytest.mark.parametrize("shift", [0.004, 0.3, 2.7])
def test_displace_moves_by_fractions_of_a_pixel(shift):
  y, x = np.mgrid[:64, :64].astype(np.float32)
  motion = np.stack([np.full_like(x, shift), np.full_like(x, -shift / 2)], -1)
  moved = displace(_waves(x, y), motion)[8:-8, 8:-8]
  expected = _waves(x - shift, y + shift / 2)[8:-8, 8:-8]
  change = np.linalg.norm(expected - _waves(x, y)[8:-8, 8:-8])
  assert np.linalg.norm(moved - expected) < 0.01 * change


def test_a_scenes_motion_grows_in_proportion_to_time():
  rng = np.random.default_rng(0)
  rest, once, twice = draw_scene(rng, 64, peak=0.02, times=(0, 1, 2))
  change, double = once - rest, twice - rest
  assert np.abs(change).max() > 1e-4
  assert np.linalg.norm(double - 2 * change) < 0.05 * np.linalg.norm(double)


def test_pairs_are_in_range_and_of_the_kinds_asked_for():
  pairs = draw_pairs(np.random.default_rng(1), 6, 32, still=2)
  for frames in (pairs.first, pairs.second, pairs.target):
    assert frames.shape == (6, 32, 32, 3) and frames.dtype == np.float32
    assert np.abs(frames).max() <= 1
  assert ((pairs.amp >= 2) & (pairs.amp <= 20)).all()
  np.testing.assert_array_equal(pairs.still, [0, 0, 0, 0, 1, 1])
  # Where nothing moves the target is the second frame, but for at most noise.
  assert np.abs(pairs.second - pairs.target)[pairs.still].mean() < 2 * 1.5 / 255


def test_the_same_seed_draws_the_same_pairs():
  one, other = (draw_pairs(np.random.default_rng([0, 7]), 2, 32) for _ in range(2))
  for a, b in zip(one, other, strict=True):
    np.testing.assert_array_equal(a, b)


def test_light_changes_brightness_but_moves_nothing():
  rng = np.random.default_rng(2)
  light = draw_light(rng, 64, strength=1.0)
  y, x = np.mgrid[:64, :64].astype(np.float32)
  frame = np.repeat(_waves(x, y)[..., None], 3, -1)
  lit = np.float32(light(frame))
  assert np.abs(lit - frame).mean() > 0.005
  motion, _ = cv2.phaseCorrelate(
    frame[..., 0], lit[..., 0], cv2.createHanningWindow((64, 64), cv2.CV_32F)
  )
  assert np.hypot(*motion) < 0.1


def test_no_light_at_strength_zero():
  frame = np.random.default_rng(3).uniform(size=(16, 16, 3))
  light = draw_light(np.random.default_rng(4), 16, strength=0.0)
  np.testing.assert_allclose(light(frame), frame, atol=1e-12)
