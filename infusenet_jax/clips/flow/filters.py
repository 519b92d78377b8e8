"""The parts of optical flow: separable filters, derivatives and the warp.

Filters are products with small constant matrices, one per axis: any size works, the
border needs no padding, and products are fast on every device.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np


def blur(x: jax.Array, sigma: float, step: int = 1) -> jax.Array:
  """Blurs (..., H, W) by a Gaussian and keeps one value for every `step` pixels.

  The values are those at the middle of each run of `step` pixels, so that the result is
  (..., ceil(H / step), ceil(W / step)). The weights are renormalised at the border.

  Args:
    x: (..., H, W).
    sigma: of the Gaussian, pixels.
    step: pixels from one value to the next.
  """
  h, w = x.shape[-2:]
  return separable(_blur_matrix(h, sigma, step), x, _blur_matrix(w, sigma, step))


def stretch(x: jax.Array, shape: tuple[int, int], step: int) -> jax.Array:
  """Interpolates linearly from the nodes that `blur` keeps back to `shape`."""
  h, w = shape
  return separable(_stretch_matrix(h, step), x, _stretch_matrix(w, step))


def separable(rows: np.ndarray, x: jax.Array, columns: np.ndarray) -> jax.Array:
  """Computes rows @ x @ columns^T on the last two axes, in float32 on every device."""
  return jnp.einsum("ih,...hw,jw->...ij", rows, x, columns, precision="highest")


def derivatives(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Computes d/dx and d/dy of (..., H, W), exact for cubics; repeats edge pixels."""

  def along(axis: int) -> jax.Array:
    pad = [(0, 0)] * x.ndim
    pad[axis] = (2, 2)
    padded = jnp.pad(x, pad, mode="edge")
    size = x.shape[axis]
    a, b, c, d = (
      jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in (0, 1, 3, 4)
    )
    return (8 * (c - b) - (d - a)) / 12

  return along(x.ndim - 1), along(x.ndim - 2)


def jet(x: jax.Array) -> jax.Array:
  """Computes value and derivatives (x, y, xx, xy, yy): (B, H, W) -> (B, H, W, 6)."""
  dx, dy = derivatives(x)
  dxx, dxy = derivatives(dx)
  _, dyy = derivatives(dy)
  return jnp.stack([x, dx, dy, dxx, dxy, dyy], -1)


def warp(jets: jax.Array, u: jax.Array, v: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Evaluates images at x + flow, by Taylor's series about the nearest pixel.

  It gathers six adjacent numbers per pixel; cubic interpolation would gather sixteen
  scattered ones.

  Args:
    jets: (B, H, W, 6) as from `jet`.
    u, v: (B, H, W) flow in pixels.

  Returns:
    (B, H, W) grey values, beyond the frame those of its border, and (B, H, W) bool:
    whether x + flow is inside the frame.
  """
  b, h, w = u.shape
  x, y = jnp.arange(w) + u, jnp.arange(h)[:, None] + v
  column, row = jnp.round(x), jnp.round(y)
  inside = (column >= 0) & (column < w) & (row >= 0) & (row < h)
  column, row = jnp.clip(column, 0, w - 1), jnp.clip(row, 0, h - 1)
  index = (row * w + column).astype(jnp.int32).reshape(b, h * w)
  picked = jax.vmap(lambda image, at: image[at])(jets.reshape(b, h * w, 6), index)
  value, dx, dy, dxx, dxy, dyy = jnp.moveaxis(picked.reshape(b, h, w, 6), -1, 0)
  s, t = jnp.clip(x - column, -0.5, 0.5), jnp.clip(y - row, -0.5, 0.5)
  value += dx * s + dy * t + (dxx * s * s + dyy * t * t) / 2 + dxy * s * t
  return value, inside


def bumps_to_nodes(
  nodes: tuple[int, int], spacings: tuple[int, ...], rigid: float
) -> list[tuple[np.ndarray, np.ndarray]]:
  """Makes matrices (over rows, over columns) that turn bumps into a field on `nodes`.

  The first pair stands for one motion of all nodes, of the strength `rigid`; then there
  is a pair for each spacing s, in nodes, of a grid of Gaussian bumps. Independent
  standard normal bumps give every node the variance s / 16, and these add up to nearly
  1 for the spacings 1, 2, 4, 8.
  """

  def bumps(n: int, spacing: int) -> np.ndarray:
    centres = np.arange(0, n, spacing) + (spacing - 1) / 2
    weights = np.exp(-0.5 * ((np.arange(n)[:, None] - centres) / (0.8 * spacing)) ** 2)
    weights *= spacing**0.25 / 2 / np.linalg.norm(weights, axis=1, keepdims=True)
    return weights.astype(np.float32)

  def everywhere(n: int) -> np.ndarray:
    return np.full((n, 1), rigid**0.5, np.float32)

  h, w = nodes
  return [
    (everywhere(h), everywhere(w)),
    *((bumps(h, s), bumps(w, s)) for s in spacings),
  ]


@functools.lru_cache(maxsize=64)
def _blur_matrix(n: int, sigma: float, step: int) -> np.ndarray:
  centres = np.arange(0, n, step)[:, None] + (step - 1) / 2
  weights = np.exp(-0.5 * ((centres - np.arange(n)) / sigma) ** 2)
  return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


@functools.lru_cache(maxsize=64)
def _stretch_matrix(n: int, step: int) -> np.ndarray:
  centres = np.arange(0, n, step) + (step - 1) / 2
  at = np.clip(np.arange(n), centres[0], centres[-1])[:, None]
  return np.maximum(0, 1 - np.abs(at - centres) / step).astype(np.float32)
