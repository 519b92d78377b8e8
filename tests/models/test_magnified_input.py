import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from infusenet_jax.models.magnifier import MAGNIFIED, MagnifiedInput, Magnifier

see = nnx.jit(
  lambda magnifier, sees, *frames: sees(magnifier, *frames), static_argnums=1
)


@pytest.fixture(scope="module")
def magnifier():
  return Magnifier(rngs=nnx.Rngs(0))


def frames(count=2, size=32):
  return jax.random.uniform(
    jax.random.key(0), (3, count, size, size, 3), minval=-1.0, maxval=1.0
  )


@pytest.mark.parametrize("window_apex", [True, False])
@pytest.mark.parametrize("kind", MAGNIFIED)
def test_the_shape_is_what_it_says(magnifier, kind, window_apex):
  sees = MagnifiedInput(kind, window_apex)
  found = nnx.eval_shape(lambda m, *x: sees(m, *x), magnifier, *frames(2, 64))
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


def test_an_unknown_kind_is_refused_by_name():
  with pytest.raises(ValueError, match="magnified is 'other', expected one of latents"):
    MagnifiedInput("other")
