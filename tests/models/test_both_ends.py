"""What is seen since both ends of an expression: the onset and the offset."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from infusenet_jax.models import lowering
from infusenet_jax.models.magnified_input import (
  BOTH_ENDS,
  MAGNIFIED,
  MagnifiedInput,
)
from tests.models.seen import frames, see


@pytest.mark.parametrize("window_apex", [True, False])
@pytest.mark.parametrize("more_amps", [(), (5.0,)])
@pytest.mark.parametrize("kind", MAGNIFIED)
@pytest.mark.parametrize("reference", BOTH_ENDS)
def test_the_shape_is_what_it_says(magnifier, reference, kind, more_amps, window_apex):
  more_amps = () if kind == "difference" else more_amps
  published = MagnifiedInput(kind, window_apex, more_amps=more_amps)
  sees = MagnifiedInput(kind, window_apex, reference=reference, more_amps=more_amps)
  found = nnx.eval_shape(lambda m, *x: sees(m, *x), magnifier, *frames(4))
  assert found.shape == (2, *sees.shape(32))
  times = 2 if reference == "offset" else 1
  assert sees.shape(32)[2] == times * published.shape(32)[2]
  assert sees.sees_offset and not published.sees_offset


@pytest.mark.parametrize("kind", MAGNIFIED)
def test_an_offset_like_the_onset_shows_the_same_twice(magnifier, kind):
  onset, apex, window_apex, _ = frames(4)
  given = onset, apex, window_apex
  published = see(magnifier, MagnifiedInput(kind), *given)
  both, mean = (
    see(magnifier, MagnifiedInput(kind, reference=reference), *given, onset)
    for reference in BOTH_ENDS
  )
  twice = np.concatenate([published, published], -1)
  np.testing.assert_allclose(both, twice, atol=1e-5)
  np.testing.assert_allclose(mean, published, atol=1e-5)


@pytest.mark.parametrize("kind", MAGNIFIED)
def test_what_is_since_the_offset_stands_behind_what_is_since_the_onset(
  magnifier, kind
):
  onset, apex, window_apex, offset = frames(4)
  sees = MagnifiedInput(kind)
  since = [see(magnifier, sees, end, apex, window_apex) for end in (onset, offset)]
  both = see(magnifier, MagnifiedInput(kind, reference="offset"), *frames(4))
  np.testing.assert_allclose(both, np.concatenate(since, -1), atol=1e-5)
  if kind != "latents":  # Of those the mean is taken before the ReLU.
    mean = see(magnifier, MagnifiedInput(kind, reference="offset_mean"), *frames(4))
    np.testing.assert_allclose(mean, (since[0] + since[1]) / 2, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("reference", BOTH_ENDS)
def test_further_factors_stand_behind_all_of_the_first(magnifier, reference):
  sees = [
    MagnifiedInput("reconstructed", reference=reference, amp=amp, more_amps=more)
    for amp, more in ((10.0, (5.0,)), (10.0, ()), (5.0, ()))
  ]
  found, *each = (see(magnifier, x, *frames(4)) for x in sees)
  np.testing.assert_allclose(found, np.concatenate(each, -1), atol=1e-5)


def test_the_mean_of_latents_differences_is_taken_before_the_relu(magnifier):
  onset, apex, window_apex, offset = (magnifier.encoder(x) for x in frames(4))
  found = see(magnifier, MagnifiedInput(reference="offset_mean"), *frames(4))
  for channels, b in ((slice(0, 32), apex), (slice(32, 64), window_apex)):
    d = sum(magnifier.manipulator(end, b, 10.0) for end in (onset, offset)) / 2
    expected = lowering.max_pool(nnx.relu(d))
    np.testing.assert_allclose(found[..., channels], expected, atol=1e-5)


def test_what_drifts_linearly_in_time_cancels_in_the_mean():
  start, slope, expression = 0.1 * frames(4)[:3]
  onset, offset = start, start + 2 * slope
  sees = MagnifiedInput("difference", False, reference="offset_mean")
  drifted = start + slope
  still = sees(None, onset, drifted, drifted, offset)
  np.testing.assert_allclose(still, 0, atol=1e-7)
  # And the expression, which is gone at both ends, is left as it is.
  found = sees(None, onset, drifted + expression, drifted, offset)
  np.testing.assert_allclose(found, expression, atol=1e-7)
  # Since the onset alone one cannot be told from the other.
  plain = MagnifiedInput("difference", False)(None, onset, drifted, drifted)
  np.testing.assert_allclose(plain, slope, atol=1e-7)


@pytest.mark.parametrize("kind", MAGNIFIED)
def test_without_a_reference_an_offset_has_no_part(magnifier, kind):
  *given, offset = frames(4)
  sees = MagnifiedInput(kind)
  expected = see(magnifier, sees, *given)
  found = see(magnifier, sees, *given, jnp.nan * offset)
  np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("reference", BOTH_ENDS)
def test_mirrored_it_is_flipped_and_no_more(magnifier, reference):
  sees = MagnifiedInput(reference=reference)
  found = see(magnifier, sees, *frames(4))
  np.testing.assert_array_equal(sees.mirrored(found), found[:, :, ::-1])


def test_an_offset_that_is_missing_is_said(magnifier):
  *given, _ = frames(4)
  with pytest.raises(ValueError, match="reference is 'offset', but there is no offset"):
    MagnifiedInput(reference="offset")(magnifier, *given)
