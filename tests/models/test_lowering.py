"""Each CPU lowering computes what its plain form computes, gradients included."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from infusenet_jax.models import lowering


def _agree(fast, plain, *arguments):
  """Values and gradients of both forms, in float64 to rounding."""

  def run(f):
    def weighed(*arguments):
      y = f(*arguments)
      return jnp.sum(jnp.sin(y)), y

    which = tuple(range(len(arguments)))
    grads, y = jax.jit(jax.grad(weighed, which, has_aux=True))(*arguments)
    return *grads, y

  for found, expected in zip(run(fast), run(plain), strict=True):
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-11)


def _normal(seed, *shape):
  return jax.random.normal(jax.random.key(seed), shape, jnp.float64)


@pytest.mark.parametrize(
  ("size", "kernel", "stride", "padding", "channels"),
  [
    ((12, 15), 3, 2, "VALID", 3),
    ((14, 14), 7, 1, "VALID", 3),
    ((2, 1), 3, 1, 1, 3),
    ((2, 2), 3, 2, 1, 3),
    ((4, 4), 7, 2, 3, 3),
    ((4, 3), 3, 1, 1, 128),
    ((8, 8), 3, 2, 1, 3),
    ((8, 8), 1, 2, 0, 3),
  ],
)
def test_conv(size, kernel, stride, padding, channels):
  if isinstance(padding, int):
    padding = ((padding, padding), (padding, padding))
  with jax.enable_x64(True):
    x = _normal(0, 2, *size, channels)
    k = _normal(1, kernel, kernel, channels, 5)

    def plain(x, k):
      return jax.lax.conv_general_dilated(
        x, k, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
      )

    _agree(lambda x, k: lowering.conv(x, k, (stride, stride), padding), plain, x, k)


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 2), (2, 3)])
def test_max_pool(size):
  with jax.enable_x64(True):
    x = _normal(0, 2, *size, 3)
    _agree(lowering.max_pool, lowering._plain_max_pool, x)


@pytest.mark.parametrize("sizes", [(3, 3, 0), (2, 2, 0), (3, 3, 1), (3, 1, 1)])
def test_max_pool_over_other_windows(sizes):
  pools = (
    partial(p, **dict(zip(("window", "stride", "padding"), sizes, strict=True)))
    for p in (lowering.max_pool, lowering._plain_max_pool)
  )
  with jax.enable_x64(True):
    _agree(*pools, _normal(0, 2, 8, 7, 3))


def test_max_pool_sends_the_gradient_of_ties_where_the_plain_form_does():
  x = jnp.round(jax.random.normal(jax.random.key(0), (2, 9, 9, 3)))
  seeds = jax.random.normal(jax.random.key(1), (2, 5, 5, 3))
  found, expected = (
    jax.grad(lambda x, pool=pool: jnp.sum(seeds * pool(x)))(x)
    for pool in (lowering.max_pool, lowering._plain_max_pool)
  )
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_max_pool_keeps_nan():
  x = jnp.zeros((1, 8, 8, 1)).at[0, 3, 4].set(jnp.nan)
  found, expected = lowering.max_pool(x), lowering._plain_max_pool(x)
  np.testing.assert_array_equal(found, expected)
  assert jnp.isnan(found).any()


def test_accelerators_get_the_plain_forms():
  def network(x, k):
    return lowering.max_pool(lowering.conv(x, k, (1, 1), "VALID"))

  x, k = jnp.zeros((1, 12, 12, 3)), jnp.zeros((3, 3, 3, 4))
  traced = jax.jit(network).trace(x, k)
  cuda = traced.lower(lowering_platforms=("cuda",)).as_text()
  cpu = traced.lower(lowering_platforms=("cpu",)).as_text()
  assert "reduce_window" in cuda and "reduce_window" not in cpu
  assert "pad = [[0, 0], [0, 0]]" in cuda and "pad = [[0, 1], [0, 1]]" in cpu
