import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from infusenet_jax.models.magnified_input import (
  MAGNIFIED,
  MagnifiedInput,
  local_contrast,
  signed_motion,
)
from infusenet_jax.models.magnifier import Magnifier
from infusenet_jax.models.weights import load_magnifier
from tests.models.seen import frames, see

SEEN = (
  *({"magnified": kind} for kind in MAGNIFIED),
  *({"reference": name} for name in ("onset", "signed")),
  {"reference": "signed", "more_amps": (5.0, 20.0)},
  {"magnified": "reconstructed", "more_amps": (5.0,)},
)


@pytest.mark.parametrize("window_apex", [True, False])
@pytest.mark.parametrize("seen", SEEN)
def test_the_shape_is_what_it_says(magnifier, seen, window_apex):
  sees = MagnifiedInput(**seen, window_apex=window_apex)
  found = nnx.eval_shape(lambda m, *x: sees(m, *x), magnifier, *frames(size=64))
  assert found.shape == (2, *sees.shape(64))


def test_reconstructed_is_the_decoded_frame_minus_the_decoded_onset(magnifier):
  onset, apex, window_apex = frames()
  found = see(magnifier, MagnifiedInput("reconstructed", amp=5.0), *frames())
  decode = nnx.jit(lambda magnifier, *pair: magnifier(*pair, 5.0))
  still = decode(magnifier, onset, onset)
  for channels, frame in ((slice(0, 3), apex), (slice(3, 6), window_apex)):
    expected = decode(magnifier, onset, frame) - still
    np.testing.assert_allclose(found[..., channels], expected, atol=1e-5)


@pytest.mark.parametrize("kind", MAGNIFIED)
def test_no_motion_is_seen_as_nothing(magnifier, kind):
  onset, *_ = frames()
  found = see(magnifier, MagnifiedInput(kind), onset, onset, onset)
  np.testing.assert_allclose(found, 0, atol=1e-6)


@pytest.mark.parametrize("kind", MAGNIFIED)
def test_without_the_window_apex_only_the_apex_is_seen(magnifier, kind):
  onset, apex, window_apex = frames()
  both = see(magnifier, MagnifiedInput(kind), onset, apex, window_apex)
  one = see(magnifier, MagnifiedInput(kind, False), onset, apex, jnp.nan * apex)
  np.testing.assert_allclose(one, both[..., : one.shape[-1]], atol=1e-5)


def test_difference_is_the_frames_as_they_are_and_needs_no_magnifier():
  onset, apex, window_apex = frames()
  found = MagnifiedInput("difference")(None, onset, apex, window_apex)
  np.testing.assert_array_equal(found[..., :3], apex - onset)
  np.testing.assert_array_equal(found[..., 3:], window_apex - onset)


@pytest.mark.parametrize("kind", ["latents", "reconstructed"])
def test_more_amps_are_several_inputs_side_by_side(magnifier, kind):
  found = see(magnifier, MagnifiedInput(kind, amp=10.0, more_amps=(5.0,)), *frames())
  each = [
    see(magnifier, MagnifiedInput(kind, amp=amp), *frames()) for amp in (10.0, 5.0)
  ]
  np.testing.assert_allclose(found, np.concatenate(each, -1), atol=1e-5)


def test_differences_of_latents_are_proportional_to_the_amp_less_1(magnifier):
  ten, five = (
    see(magnifier, MagnifiedInput(amp=amp), *frames()) for amp in (10.0, 5.0)
  )
  assert ten.max() > 0
  np.testing.assert_allclose(ten / 9, five / 4, atol=1e-6)


@pytest.mark.parametrize(
  "reference", ["onset", pytest.param("signed", marks=pytest.mark.slow)]
)
def test_what_is_read_against_stands_behind_the_published_differences(
  magnifier, reference
):
  published = see(magnifier, MagnifiedInput(), *frames())
  found = see(magnifier, MagnifiedInput(reference=reference), *frames())
  np.testing.assert_allclose(found[..., :64], published, atol=1e-6)
  a, *b = (magnifier.encoder(frame) for frame in frames())
  if reference == "onset":
    expected = local_contrast(a)
  else:
    expected = jnp.concatenate([9 * signed_motion(a, each - a) for each in b], -1)
  np.testing.assert_allclose(found[..., 64:], expected, rtol=1e-3, atol=1e-3)


def texture(seed, motion=(0.0, 0.0), *, size=24, channels=8, shortest=8):
  """Waves in all directions, (1, size, size, channels), moved by (x, y) pixels."""
  rng = np.random.default_rng(seed)
  y, x = np.mgrid[:size, :size]
  x, y = x - motion[0], y - motion[1]
  waves = np.zeros((size, size, channels))
  for channel in range(channels):
    for _ in range(4):
      angle, phase = rng.uniform(0, 2 * np.pi, 2)
      k = 2 * np.pi / rng.uniform(shortest, 3 * shortest)
      waves[..., channel] += np.cos(k * (x * np.cos(angle) + y * np.sin(angle)) + phase)
  return jnp.asarray(waves[None], jnp.float32)


motion_of, contrast_of = jax.jit(signed_motion), jax.jit(local_contrast)
some = settings(deadline=None, max_examples=30)
seeds = st.integers(0, 2**31)
pixels = st.floats(-0.3, 0.3)


@some
@given(seeds, pixels, pixels)
def test_signed_motion_is_how_far_a_texture_moved(seed, x, y):
  a = texture(seed)
  found = motion_of(a, texture(seed, (x, y)) - a)
  np.testing.assert_allclose(found.mean((0, 1, 2)), (x, y), atol=0.06)


@some
@given(seeds, pixels, pixels, st.floats(0.1, 10))
def test_signed_motion_turns_with_the_change_alone(seed, x, y, scale):
  a = texture(seed)
  d = texture(seed, (x, y)) - a
  found = motion_of(a, d)
  near = {"rtol": 1e-3, "atol": 1e-4}
  np.testing.assert_allclose(motion_of(a, -d), -found, **near)
  np.testing.assert_allclose(motion_of(-a, -d), found, **near)
  np.testing.assert_allclose(motion_of(scale * a, scale * d), found, **near)


@some
@given(seeds, seeds, st.booleans())
def test_in_a_mirror_motion_along_x_alone_changes_its_sign(seed, other, window_apex):
  sees = MagnifiedInput(window_apex=window_apex, reference="signed")

  def seen(turn):
    a, *b = (turn(texture(each)) for each in (seed, other, other + 1))
    motion = [motion_of(a, each - a) for each in b[: 1 + window_apex]]
    return jnp.concatenate([nnx.avg_pool(a, (2, 2), (2, 2)), *motion], -1)

  expected = seen(lambda x: jnp.flip(x, axis=2))
  np.testing.assert_allclose(
    sees.mirrored(seen(lambda x: x)), expected, rtol=1e-3, atol=1e-3
  )


@some
@given(seeds, st.floats(0.1, 10), st.floats(-5, 5))
def test_local_contrast_knows_neither_light_nor_contrast(seed, scale, shift):
  a = texture(seed)
  found = contrast_of(a)
  assert found.std() > 0.1
  np.testing.assert_allclose(contrast_of(scale * a + shift), found, atol=5e-3)
  np.testing.assert_allclose(contrast_of(-a), -found, atol=1e-5)


def test_a_face_without_texture_has_neither_contrast_nor_motion():
  flat = jnp.full((1, 8, 8, 4), 0.3)
  np.testing.assert_allclose(contrast_of(flat), 0, atol=1e-3)
  d = jnp.ones_like(flat)
  np.testing.assert_array_equal(motion_of(flat, d), 0)


@pytest.fixture(scope="module")
def pretrained():
  magnifier = Magnifier(rngs=nnx.Rngs(0))
  load_magnifier(magnifier, "pretrained")
  return magnifier


def faces(motion=(0.0, 0.0)):
  """Four frames of coloured texture, in [-0.6, 0.6], moved by (x, y) pixels."""
  how = {"size": 32, "channels": 3, "shortest": 6}
  return 0.2 * jnp.concatenate([texture(seed, motion, **how) for seed in range(4)])


@pytest.mark.parametrize("axis", [0, 1])
def test_the_magnifier_that_ships_shows_which_way_frames_move(pretrained, axis):
  sees = MagnifiedInput(window_apex=False, reference="signed")
  still, *moved = (faces(np.eye(2)[axis] * far) for far in (0, 0.3, -0.3))
  mirror = lambda x: jnp.flip(x, axis=2)  # noqa: E731
  pairs = [(still, each) for each in moved]
  pairs.append((mirror(still), mirror(moved[0])))
  there, back, mirrored = (
    see(pretrained, sees, onset, apex, apex)[..., -2:].mean((1, 2))
    for onset, apex in pairs
  )
  expected = 9 * 0.3 / 2 * np.eye(2)[axis]  # Latents have half of the frames' pixels.
  np.testing.assert_allclose(there, np.tile(expected, (4, 1)), atol=0.3)
  np.testing.assert_allclose(back, -there, atol=0.02)
  np.testing.assert_allclose(mirrored, there * jnp.array([-1, 1]), atol=0.02)


def test_the_onset_that_is_seen_is_that_of_any_light_and_contrast(pretrained):
  sees = MagnifiedInput(window_apex=False, reference="onset")

  def onset(frame):
    return np.asarray(see(pretrained, sees, frame, frame, frame)[..., 32:])

  found = onset(faces())
  np.testing.assert_allclose(onset(0.5 * faces()), found, atol=2e-3)
  brighter = onset(faces() + 0.2)
  assert np.corrcoef(np.ravel(brighter), np.ravel(found))[0, 1] > 0.95


@pytest.mark.parametrize(
  "seen, message",
  [
    ({"reference": "apex"}, "reference is 'apex', expected one of '', onset, signed"),
    ({"magnified": "difference", "reference": "onset"}, "which is of latents"),
    ({"magnified": "difference", "more_amps": (5.0,)}, "magnifies nothing"),
  ],
)
def test_what_does_not_fit_is_refused(seen, message):
  with pytest.raises(ValueError, match=message):
    MagnifiedInput(**seen)


def test_an_unknown_kind_is_refused_by_name():
  with pytest.raises(ValueError, match="magnified is 'other', expected one of latents"):
    MagnifiedInput("other")
