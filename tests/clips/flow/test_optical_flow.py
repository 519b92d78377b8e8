"""Optical flow finds motion and nothing else."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from infusenet_jax.clips.flow.optical_flow import optical_flow

SHAPE = (97, 113)  # odd on purpose: nothing divides by the pyramid or the nodes
INNER = (slice(12, -12), slice(12, -12))


@pytest.fixture(scope="module")
def texture():
  """Band-limited, so that moving it by a spline is exact."""
  noise = np.random.default_rng(0).normal(size=SHAPE)
  smooth = gaussian_filter(noise, 1.5, mode="wrap")
  smooth += 3 * gaussian_filter(noise[::-1], 5, mode="wrap")
  return 120 + 25 * smooth / smooth.std()


def moved(image, u, v):
  """`second`, where the point at x of `image` is at x + (u, v)."""
  y, x = np.mgrid[: image.shape[0], : image.shape[1]]
  return map_coordinates(image, [y - v, x - u], order=5, mode="nearest")


def flow_of(first, second):
  """The one shape and batch size that these tests compile: four pairs."""
  four = np.broadcast_to
  first, second = four(first, (4, *SHAPE)), four(second, (4, *SHAPE))
  return np.asarray(optical_flow(first, second))


@pytest.mark.parametrize(
  ("u", "v"), [(0.3, 0.0), (0.0, 0.3), (-0.5, 0.25), (1.5, -2.0), (4.3, 3.1)]
)
def test_translations_are_found_and_have_the_right_sign(texture, u, v):
  flow = flow_of(texture, moved(texture, u, v))[0][INNER]
  np.testing.assert_allclose(np.median(flow, (0, 1)), [u, v], atol=0.03)
  assert np.sqrt(((flow - [u, v]) ** 2).mean()) < 0.1 * np.hypot(u, v) + 0.02


def test_a_lone_bump_is_found_where_it_is(texture):
  y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
  bump = 0.6 * np.exp(-((x - 70) ** 2 + (y - 40) ** 2) / (2 * 10**2))
  flow = flow_of(texture, moved(texture, bump, 0))[0]
  assert np.sqrt(((flow[..., 0] - bump) ** 2).mean() / (bump**2).mean()) < 0.25
  top = np.unravel_index(np.argmax(flow[..., 0]), SHAPE)
  assert np.hypot(top[0] - 40, top[1] - 70) < 5


def test_light_does_not_look_like_motion(texture):
  y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] / 100
  lights = np.stack(
    [
      1.04 * texture,
      texture + 12,
      texture * (0.96 + 0.08 * x),
      0.9 * texture + 20 * y,
    ]
  )
  flow = flow_of(texture, lights)
  assert np.sqrt((flow**2).mean((1, 2, 3))).max() < 0.01


def test_motion_is_the_same_in_other_light(texture):
  y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
  bump = 0.5 * np.exp(-((x - 50) ** 2 + (y - 50) ** 2) / (2 * 12**2))
  second = moved(texture, bump, -bump)
  lights = np.stack([second, 1.04 * second, second - 10, second * (0.96 + 0.0008 * x)])
  flow = flow_of(texture, lights)
  change = np.sqrt(((flow[1:] - flow[0]) ** 2).mean((1, 2, 3)))
  assert change.max() < 0.1 * np.sqrt((bump**2).mean())


def test_noise_alone_gives_next_to_no_motion(texture):
  noise = np.random.default_rng(1).normal(0, 1.5, (2, 4, *SHAPE))
  flow = flow_of(texture + noise[0], texture + noise[1])
  assert np.sqrt((flow**2).mean()) < 0.03


def test_a_patch_that_nothing_explains_stays_a_patch(texture):
  blink = texture.copy()
  blink[40:50, 40:65] = 30
  flow = flow_of(texture, blink)[0]
  far = np.ones(SHAPE, bool)
  far[20:70, 20:85] = False
  assert np.abs(flow[far]).max() < 0.1


def test_pairs_of_a_batch_do_not_meddle(texture):
  seconds = [moved(texture, u, 0) for u in (0.2, 0.5, -1.0, 3.0)]
  together = flow_of(texture, np.stack(seconds))
  for one, second in zip(together, seconds, strict=True):
    np.testing.assert_allclose(flow_of(texture, second)[2], one, atol=1e-3)


@pytest.mark.parametrize(
  "shape", [SHAPE, pytest.param((16, 19), marks=pytest.mark.release)]
)
def test_nothing_to_see_is_no_motion(shape):
  flat = np.full((4, *shape), 90.0)
  for second in (flat, 1.1 * flat, 0 * flat):
    flow = np.asarray(optical_flow(flat, second))
    assert flow.shape == (4, *shape, 2) and flow.dtype == np.float32
    np.testing.assert_allclose(flow, 0, atol=1e-4)


def test_one_compilation_per_shape(texture):
  flow_of(texture, texture)
  compiled = optical_flow._cache_size()
  for gain in (1.1, 1.2):
    flow_of(texture, gain * texture)
  assert optical_flow._cache_size() == compiled


def test_the_motion_of_the_head_costs_no_precision(texture):
  """Bumps are as exact on top of a translation, a turn and a change of size."""
  y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
  noise = np.random.default_rng(2).normal(0, 1.5, (2, *SHAPE))
  bump = 0.4 * np.exp(-((x - 56) ** 2 + (y - 48) ** 2) / (2 * 10**2))
  heads = [(0, 0), (1 + 0 * x, -0.5 + 0 * y), (0.01 * y, -0.01 * x), (0.01 * x, 0)]
  seconds = [moved(texture, u + bump, v) + noise[1] for u, v in heads]
  flow = flow_of(texture + noise[0], np.stack(seconds))
  errors = []
  for got, (u, v) in zip(flow, heads, strict=True):
    truth = np.stack(np.broadcast_arrays(u + bump, v + 0 * bump), -1)
    errors.append(np.sqrt(((got - truth)[INNER] ** 2).mean()))
  assert max(errors[1:]) < 1.5 * errors[0] + 0.01


@pytest.mark.parametrize(
  "shapes",
  [((2, 32, 32), (2, 32, 33)), ((32, 32), (32, 32)), ((1, 8, 32), (1, 8, 32))],
)
def test_wrong_shapes_are_named(shapes):
  with pytest.raises(ValueError, match="expected two equal"):
    optical_flow(*(np.zeros(shape) for shape in shapes))
