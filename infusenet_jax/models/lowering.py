"""Convolution and max-pooling, rewritten where XLA compiles the plain form badly.

XLA:CPU (jax 0.10, 2-core AVX-512) is very slow in three cases that this network meets
in every layer. Each function below computes what its plain form computes; which of the
two forms is compiled is decided per platform when the program is lowered, so that GPU
and TPU always get the plain one.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax


def conv(
  x: jax.Array,
  kernel: jax.Array,
  strides: tuple[int, int],
  padding,
  *,
  precision=None,
  **unused,
) -> jax.Array:
  """Convolves (B, H, W, C) with a kernel (kh, kw, C, D); for `conv_general_dilated`.

  `nnx.Conv` also passes dilations, groups and shardings. This project leaves them at
  their defaults, so that `unused` may be ignored.
  """
  if padding == "VALID":
    padding = ((0, 0), (0, 0))
  elif isinstance(padding, str):
    padding = lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
  padding = tuple(tuple(p) for p in padding)
  plain = partial(_plain_conv, strides=strides, padding=padding, precision=precision)
  if kernel.shape[:2] == (1, 1):
    return plain(x, kernel)
  if _suits_a_matrix(x.shape, kernel.shape):
    fast = partial(_matrix_conv, strides=strides, padding=padding, precision=precision)
  elif padding == ((0, 0), (0, 0)):
    fast = partial(_unpadded_conv, strides=strides, precision=precision)
  else:
    return plain(x, kernel)
  return lax.platform_dependent(x, kernel, cpu=fast, default=plain)


def max_pool(
  x: jax.Array, window: int = 3, stride: int = 2, padding: int = 1
) -> jax.Array:
  """Pools (B, H, W, C) by square windows' maximum, by default to (B, H/2, W/2, C)."""
  sizes = {"window": window, "stride": stride, "padding": padding}
  fast, plain = partial(_sliced_max_pool, **sizes), partial(_plain_max_pool, **sizes)
  return lax.platform_dependent(x, cpu=fast, default=plain)


def _plain_conv(x, kernel, *, strides, padding, precision=None):
  return lax.conv_general_dilated(
    x,
    kernel,
    strides,
    padding,
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    precision=precision,
  )


def _unpadded_conv(x, kernel, *, strides, precision=None):
  """Convolves without padding, by way of a padded convolution.

  On XLA:CPU a convolution without any padding is about 5 times slower than a padded
  one. So this pads one row and one column, which no wanted output reads, and cuts off
  the outputs that they add.
  """
  out = [
    (n - k) // s + 1
    for n, k, s in zip(x.shape[1:3], kernel.shape[:2], strides, strict=True)
  ]
  padding = tuple((0, s) for s in strides)
  y = _plain_conv(x, kernel, strides=strides, padding=padding, precision=precision)
  return y[:, : out[0], : out[1]]


def _suits_a_matrix(shape, kernel) -> bool:
  """Whether `_matrix_conv` is the faster form.

  It is on maps much smaller than the kernel, and with many channels on maps of up to
  4 x 4 (512 channels, batch 16: gradients in 8 instead of 20 ms, a train step at
  112 px in 0.53 instead of 0.57 s).
  """
  if any(n < k for n, k in zip(shape[1:3], kernel[:2], strict=True)):
    return True
  return kernel[2] >= 128 and max(shape[1:3]) <= 4


def _matrix_conv(x, kernel, *, strides, padding, precision=None):
  """Convolves by one product: patches under the kernel times the kernel as a matrix.

  On XLA:CPU the plain convolution of a map smaller than its kernel is 40 times slower.
  """
  kh, kw, features_in, features_out = kernel.shape
  x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
  h, w = ((n - k) // s + 1 for n, k, s in zip(x.shape[1:3], (kh, kw), strides))  # noqa: B905
  rows, columns = strides
  patches = jnp.concatenate(
    [
      x[:, i : i + (h - 1) * rows + 1 : rows, j : j + (w - 1) * columns + 1 : columns]
      for i in range(kh)
      for j in range(kw)
    ],
    axis=-1,
  )
  matrix = kernel.reshape(kh * kw * features_in, features_out)
  return jnp.matmul(patches, matrix, precision=precision)


def _plain_max_pool(x, window=3, stride=2, padding=1):
  pads = ((padding, padding),) * 2
  return nnx.max_pool(x, (window, window), (stride, stride), pads)


def _sliced_max_pool(x, window=3, stride=2, padding=1):
  """Takes the maximum of shifted slices.

  On XLA:CPU the gradient of the plain form (select-and-scatter) takes 12 times as long
  as its forward pass. `_first_max` sends the gradient to the first of equal values, row
  by row, and propagates NaN, both as the plain form does.
  """
  h, w = ((n + 2 * padding - window) // stride + 1 for n in x.shape[1:3])
  # Padding below and to the right, so that every slice has h rows and w columns.
  after = [
    max(window - 1 + stride * out - n - padding, 0)
    for n, out in zip(x.shape[1:3], (h, w), strict=True)
  ]
  pads = ((0, 0), (padding, after[0]), (padding, after[1]), (0, 0))
  x = jnp.pad(x, pads, constant_values=-jnp.inf)
  rows = [x[:, :, j : j + stride * w : stride] for j in range(window)]
  x = _first_max(rows)
  return _first_max([x[:, i : i + stride * h : stride] for i in range(window)])


def _first_max(slices):
  best = slices[0]
  for other in slices[1:]:
    best = jnp.where((best >= other) | jnp.isnan(best), best, other)
  return best
