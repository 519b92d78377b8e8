import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from infusenet_jax.models.resnet import BatchNorm, linear


@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (7, 3), (2, 3)])
def test_batch_norm_normalises_by_n_and_keeps_by_n_minus_1(shape):
  x = np.random.default_rng(0).normal(1, 2, shape).astype(np.float32)
  model = BatchNorm(3, rngs=nnx.Rngs(0))
  model.mean[...], model.var[...] = jnp.full(3, 0.5), jnp.full(3, 2.0)
  model.train()
  y = model(x)
  axes = tuple(range(x.ndim - 1))
  np.testing.assert_allclose(
    y, (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5), rtol=0, atol=1e-5
  )
  np.testing.assert_allclose(
    model.mean[...], 0.9 * 0.5 + 0.1 * x.mean(axes), rtol=0, atol=1e-6
  )
  np.testing.assert_allclose(
    model.var[...], 0.9 * 2 + 0.1 * x.var(axes, ddof=1), rtol=1e-6
  )
  kept = np.asarray(model.mean[...]), np.asarray(model.var[...])
  model.eval()
  np.testing.assert_allclose(
    model(x), (x - kept[0]) / np.sqrt(kept[1] + 1e-5), rtol=0, atol=1e-5
  )
  np.testing.assert_array_equal(model.var[...], kept[1])


def test_a_single_value_per_channel_stays_finite():
  model = BatchNorm(3, rngs=nnx.Rngs(0))
  assert jnp.isfinite(model(jnp.ones((1, 3)))).all()
  np.testing.assert_allclose(model.var[...], 0.9, rtol=1e-6)


def test_weights_and_biases_start_within_pytorchs_bounds():
  leaves = jax.tree.leaves(nnx.state(linear(100, 50, rngs=nnx.Rngs(0))))
  assert len(leaves) == 2
  for leaf in leaves:
    assert jnp.abs(leaf).max() <= 0.1
    assert jnp.std(leaf) == pytest.approx(0.1 / np.sqrt(3), rel=0.2)
