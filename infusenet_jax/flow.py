"""Optical flow that brightness cannot fool, and the strain of a flow field.

The frames of a micro-expression clip are milliseconds apart and the motion is a
fraction of a pixel, so that a flicker of the light or the camera's automatic gain
changes the grey values more than the motion does. Every window is therefore solved
for its motion and for a gain and an offset of its own, all four together: the
generalised dynamic image model of Negahdaripour (IEEE PAMI 20(9), 1998).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

LEVELS = 3  # of the pyramid: the coarsest sees a quarter of the resolution.
WARPS = (2, 2, 2)  # per level, coarsest first.
WINDOW = 6.0  # sigma of the Gaussian window in which the motion is solved, pixels.
PREFILTER = 1.0  # sigma of the blur that makes derivatives out of noisy pixels.
PRIOR = 3.0  # weight of "no further motion" in a window: squared grey level / pixel.
GAIN_PRIOR = 1.0  # weight of "no gain" in a window: squared grey levels.


@functools.lru_cache(maxsize=64)
def _blur_matrix(n: int, sigma: float, step: int = 1) -> np.ndarray:
  """(ceil(n / step), n) matrix: Gaussian blur, weights renormalised at the border."""
  rows = np.arange(0, n, step)[:, None]
  weights = np.exp(-0.5 * ((rows - np.arange(n)) / sigma) ** 2)
  return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


@functools.lru_cache(maxsize=64)
def _stretch_matrix(n: int, step: int) -> np.ndarray:
  """(n, ceil(n / step)) matrix: linear interpolation between every step-th pixel."""
  coarse = np.arange(-(-n // step))
  tent = 1 - np.abs(np.arange(n)[:, None] / step - coarse)
  tent = np.maximum(tent, 0)
  return (tent / tent.sum(1, keepdims=True)).astype(np.float32)


def _separable(rows: np.ndarray, x: jax.Array, columns: np.ndarray) -> jax.Array:
  """rows @ x @ columns^T on the last two axes, in full float32 on every device."""
  return jnp.einsum("ih,...hw,jw->...ij", rows, x, columns, precision="highest")


def _blur(x: jax.Array, sigma: float, step: int = 1) -> jax.Array:
  h, w = x.shape[-2:]
  return _separable(_blur_matrix(h, sigma, step), x, _blur_matrix(w, sigma, step))


def _stretch(x: jax.Array, shape: tuple[int, int], step: int) -> jax.Array:
  return _separable(_stretch_matrix(shape[0], step), x, _stretch_matrix(shape[1], step))


def _derivatives(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Central differences (d/dx, d/dy) of (..., H, W), edge pixels repeated."""
  pad = [(0, 0)] * (x.ndim - 2)
  wide = jnp.pad(x, [*pad, (0, 0), (1, 1)], mode="edge")
  tall = jnp.pad(x, [*pad, (1, 1), (0, 0)], mode="edge")
  return (wide[..., 2:] - wide[..., :-2]) / 2, (
    tall[..., 2:, :] - tall[..., :-2, :]
  ) / 2


def _jet(x: jax.Array) -> jax.Array:
  """(..., H, W, 6): value, x, y, xx, xy, yy, all that a second-order Taylor needs."""
  dx, dy = _derivatives(x)
  dxx, dxy = _derivatives(dx)
  _, dyy = _derivatives(dy)
  return jnp.stack([x, dx, dy, dxx, dxy, dyy], -1)


def _warp(jet: jax.Array, u: jax.Array, v: jax.Array) -> tuple[jax.Array, ...]:
  """Value and derivatives at x + flow: Taylor's series about the nearest pixel."""
  b, h, w = u.shape
  x = jnp.arange(w, dtype=u.dtype) + u
  y = jnp.arange(h, dtype=v.dtype)[:, None] + v
  column = jnp.clip(jnp.round(x), 0, w - 1)
  row = jnp.clip(jnp.round(y), 0, h - 1)
  index = (row * w + column).astype(jnp.int32).reshape(b, h * w)
  flat = jet.reshape(b, h * w, 6)
  picked = jax.vmap(lambda image, at: image[at])(flat, index).reshape(b, h, w, 6)
  value, dx, dy, dxx, dxy, dyy = jnp.moveaxis(picked, -1, 0)
  # Beyond the frame the border pixel goes on: the series is not trusted further.
  s, t = jnp.clip(x - column, -0.5, 0.5), jnp.clip(y - row, -0.5, 0.5)
  value += dx * s + dy * t + (dxx * s * s + dyy * t * t) / 2 + dxy * s * t
  return value, dx + dxx * s + dxy * t, dy + dxy * s + dyy * t


def _step(first, jet, u, v, step: int):
  """One least-squares update of the flow, in Gaussian windows of its own gain."""
  warped, dx, dy = _warp(jet, u, v)
  dx1, dy1 = _derivatives(first)
  dx, dy = (dx + dx1) / 2, (dy + dy1) / 2
  change = first - warped
  a = jnp.stack([dx, dy, first, change], 0)
  pairs = [(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2), (0, 3), (1, 3), (2, 3)]
  moments = jnp.concatenate([a, jnp.stack([a[i] * a[j] for i, j in pairs])], 0)
  m = _blur(moments, WINDOW, step)
  # Covariances: subtracting the window's means solves for the offset.
  xx, xy, yy, xg, yg, gg, xc, yc, gc = (
    m[4 + k] - m[i] * m[j] for k, (i, j) in enumerate(pairs)
  )
  # Removing what the grey value explains solves for the gain.
  gg = gg + GAIN_PRIOR
  xx, xy, yy = xx - xg * xg / gg, xy - xg * yg / gg, yy - yg * yg / gg
  xc, yc = xc - xg * gc / gg, yc - yg * gc / gg
  xx, yy = xx + PRIOR, yy + PRIOR
  det = xx * yy - xy * xy
  du, dv = (yy * xc - xy * yc) / det, (xx * yc - xy * xc) / det
  du, dv = _stretch(jnp.stack([du, dv]), u.shape[-2:], step)
  return u + du, v + dv


@jax.jit
def optical_flow(first: jax.Array, second: jax.Array) -> jax.Array:
  """Dense optical flow between grey frames, coarse to fine, blind to brightness.

  Args:
    first, second: (B, H, W) grey frames on a 0-255 scale.

  Returns:
    (B, H, W, 2) float32 flow (u, v) in pixels, u to the right and v down: the point
    at x in `first` is at x + flow in `second`.
  """
  pyramid = [(jnp.asarray(first, jnp.float32), jnp.asarray(second, jnp.float32))]
  for _ in range(LEVELS - 1):
    pyramid.append(tuple(_blur(frame, 1.0, 2) for frame in pyramid[-1]))
  u = v = jnp.zeros(pyramid[-1][0].shape, jnp.float32)
  for (first, second), warps in zip(reversed(pyramid), WARPS, strict=True):
    if first.shape != u.shape:
      u, v = 2 * _stretch(jnp.stack([u, v]), first.shape[-2:], 2)
    first, jet = _blur(first, PREFILTER), _jet(_blur(second, PREFILTER))
    for _ in range(warps):
      u, v = _step(first, jet, u, v, step=2)
  return jnp.stack([u, v], -1)


@jax.jit
def optical_strain(flow: jax.Array) -> jax.Array:
  """Optical strain sqrt(ux^2 + vy^2 + (uy^2 + vx^2) / 2) of a flow field.

  The derivatives are Sobel's, divided by 8 so that they are pixels per pixel; edge
  pixels are repeated. As in the CD6ME benchmark (Varanka et al., TAFFC 2023).

  Args:
    flow: (..., H, W, 2) flow in pixels.

  Returns:
    (..., H, W) strain, without unit.
  """
  h, w = flow.shape[-3:-1]
  field = jnp.moveaxis(flow, -1, 0)
  pad = [(0, 0)] * (field.ndim - 2)
  field = jnp.pad(field, [*pad, (1, 1), (1, 1)], mode="edge")

  def along(axis: int, weights: tuple[int, ...], x: jax.Array) -> jax.Array:
    size = (h, w)[axis]
    return sum(
      k * jax.lax.slice_in_dim(x, i, i + size, axis=axis - 2)
      for i, k in enumerate(weights)
      if k
    )

  ux, vx = along(1, (-1, 0, 1), along(0, (1, 2, 1), field)) / 8
  uy, vy = along(0, (-1, 0, 1), along(1, (1, 2, 1), field)) / 8
  return jnp.sqrt(ux**2 + vy**2 + (uy**2 + vx**2) / 2)
