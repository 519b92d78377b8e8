"""Optical flow that brightness does not fool, and the strain of a flow field.

Between the onset and the apex of a micro-expression skin moves by a fraction of a
pixel, so that a flicker of the light or the camera's automatic gain changes the grey
values more than the motion does. Here brightness is part of the model:

  second(x + w(x)) = (1 + gain(x)) first(x) + offset(x) + noise

(the generalised dynamic image model of Negahdaripour, IEEE PAMI 20(9), 1998). Gain
and offset are solved for in a window around each pixel and taken out; the motion w is
what is most probable given what remains, with a Gaussian prior: w is a sum of smooth
bumps on grids of 4, 8, 16 and 32 pixels, the wider the stronger, plus a free bilinear
motion of the whole head. So texture decides how finely the motion is resolved, pixel
by pixel, and no window has to be chosen for it. The strengths of the noise and of
the motion, which weigh data against prior, are estimated from each pair.

Everything is done by products with small constant matrices and one gather per warp.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

LEVELS = 3  # of the pyramid; the coarsest has a quarter of the resolution.
WARPS = 2  # of the second frame, per level.
ITERATIONS = 4  # of conjugate gradients per warp; each goes on from the last.
PREFILTER = 0.7  # sigma of the blur of both frames before they are compared, pixels.
LIGHT_WINDOW = 8.0  # sigma of the window in which gain and offset are constant.
FLAT = 4.0  # a window of less variance (grey levels squared) tells little of its gain.
STEP = 4  # pixels between the nodes at which the motion is solved.
SPACINGS = (1, 2, 4, 8)  # of the bumps, in nodes.
RIGID = 10.0  # how much stronger than the rest the motion of the head may be.
FIRST_SPREAD = 0.3  # pixels of the coarsest level: the motion expected at first.
LEAST_SPREAD = 0.05  # pixels: the prior gets no tighter than this.
ROUNDING = 1 / 6  # variance of the difference of two frames rounded to 8 bits.


@jax.jit
def optical_flow(first: jax.Array, second: jax.Array) -> jax.Array:
  """Dense optical flow between grey frames, whatever happens to the brightness.

  Compiled once per shape; the pairs of a batch do not affect each other. Motions of
  up to about 8 pixels are found.

  Args:
    first, second: (B, H, W) grey frames on a 0-255 scale, at least 16 pixels a side.

  Returns:
    (B, H, W, 2) float32 flow (u, v) in pixels, u to the right and v down: the point
    at x in `first` is at x + flow in `second`.

  Raises:
    ValueError: the frames are not two equal stacks of images of that size.
  """
  if first.shape != second.shape or first.ndim != 3 or min(first.shape[1:]) < 16:
    raise ValueError(
      f"optical_flow got frames of shape {first.shape} and {second.shape}: expected "
      "two equal (B, H, W) of grey frames, at least 16 pixels a side"
    )
  pyramid = [(jnp.asarray(first, jnp.float32), jnp.asarray(second, jnp.float32))]
  for _ in range(LEVELS - 1):
    pyramid.append(tuple(_blur(frame, 1.0, 2) for frame in pyramid[-1]))
  batch, height, width = pyramid[-1][0].shape
  flow = jnp.zeros((2, batch, height, width))
  spread = jnp.full((batch, 1, 1), FIRST_SPREAD**2)
  for frames in reversed(pyramid):
    shape = frames[0].shape[1:]
    if flow.shape[2:] != shape:
      flow, spread = 2 * _stretch(flow, shape, 2), 4 * spread
    flow, spread = _refine(*frames, flow, spread)
  return jnp.moveaxis(flow, 0, -1)


@jax.jit
def optical_strain(flow: jax.Array) -> jax.Array:
  """Optical strain sqrt(ux^2 + vy^2 + (uy^2 + vx^2) / 2) of a flow field.

  The derivatives are Sobel's, divided by 8 so that they are pixels per pixel; edge
  pixels are repeated. As in the CD6ME benchmark (Varanka et al., TAFFC 2023).

  Args:
    flow: (..., H, W, 2) flow in pixels.

  Returns:
    (..., H, W) strain, pixels per pixel.
  """
  field = jnp.moveaxis(jnp.asarray(flow), -1, 0)
  field = jnp.pad(field, [(0, 0)] * (field.ndim - 2) + [(1, 1)] * 2, mode="edge")
  tall = field[..., :-2, :] + 2 * field[..., 1:-1, :] + field[..., 2:, :]
  wide = field[..., :-2] + 2 * field[..., 1:-1] + field[..., 2:]
  ux, vx = (tall[..., 2:] - tall[..., :-2]) / 8
  uy, vy = (wide[..., 2:, :] - wide[..., :-2, :]) / 8
  return jnp.sqrt(ux**2 + vy**2 + (uy**2 + vx**2) / 2)


def _refine(first, second, flow, spread):
  """Warps and solves at one level: (flow, spread) -> (flow, spread).

  flow is (2, B, H, W); spread (B, 1, 1) is the mean square of its non-rigid part.
  """
  shape = first.shape[1:]
  first, jet = _blur(first, PREFILTER), _jet(_blur(second, PREFILTER))
  bases = _bases(*(-(-n // STEP) for n in shape))
  bumps = [jnp.zeros((2, len(first), b.shape[1], a.shape[1])) for a, b in bases]
  for _ in range(WARPS):
    tensor, pull, noise = _evidence(first, _warp(jet, *flow))
    nodes = _blur(flow, STEP * 0.6, STEP)
    pull = pull + _apply(tensor, nodes)
    ridge = noise / (spread + LEAST_SPREAD**2)
    bumps = _solve(tensor, pull, ridge, bases, bumps)
    rigid, loose = _field(bases[:1], bumps[:1]), _field(bases[1:], bumps[1:])
    flow = _stretch(rigid + loose, shape, STEP)
    spread = (loose**2).sum(0).mean((-2, -1), keepdims=True)
  return flow, spread


def _evidence(first, warped):
  """What a pair says about the motion that is left, once the light is accounted for.

  Returns:
    Per node the gradient's tensor (xx, xy, yy) and its product with the difference
    (x, y), summed over the node's pixels; and the pair's noise: the variance of the
    difference of two pixels.
  """
  # The noise of the mean is independent of that of the difference, so that averaging
  # the frames first keeps it from pulling the motion towards zero.
  grey = _blur((first + warped) / 2, PREFILTER)
  signals = jnp.stack([*_derivatives(grey), first - warped])
  # Regress each signal on the grey value in a window: the slope is the gain, the
  # constant the offset, and what is left is blind to both.
  moments = jnp.concatenate([signals, signals * grey, jnp.stack([grey, grey * grey])])
  moments = _blur(moments, LIGHT_WINDOW, STEP)
  mean, mean_grey = moments[:3], moments[6]
  slope = moments[3:6] - mean * mean_grey
  slope /= moments[7] - mean_grey**2 + FLAT
  light = jnp.concatenate([mean - slope * mean_grey, slope])
  light = _stretch(light, grey.shape[-2:], STEP)
  dx, dy, change = signals - light[:3] - light[3:] * grey
  # From the mean absolute value, for outliers; 4 pi sigma^2 undoes the prefilter.
  noise = jnp.pi / 2 * jnp.abs(change).mean((-2, -1), keepdims=True) ** 2
  noise = noise * 4 * jnp.pi * PREFILTER**2 + ROUNDING
  products = [dx * dx, dx * dy, dy * dy, dx * change, dy * change]
  products = STEP**2 * _blur(jnp.stack(products), STEP * 0.6, STEP)
  return products[:3], products[3:], noise


def _solve(tensor, pull, ridge, bases, bumps):
  """Conjugate gradients for the bumps z that minimise the posterior's

    z^T B^T T B z / 2 - z^T B^T pull + ridge |z|^2 / 2,

  preconditioned by the 2 x 2 blocks of its diagonal. Bumps of several widths make
  the problem so well-conditioned (as in Bramble, Pasciak and Xu's preconditioner,
  Math. Comp. 55, 1990) that a few iterations do.
  """

  def gradient(bumps):
    field = _spread_out(bases, _apply(tensor, _field(bases, bumps)))
    return [f + ridge * z for f, z in zip(field, bumps, strict=True)]

  def precondition(residual):
    return [_apply(p, r) for p, r in zip(inverse, residual, strict=True)]

  def dot(a, b):
    return sum((x * y).sum((0, 2, 3)) for x, y in zip(a, b, strict=True))[:, None, None]

  def add(a, scale, b):
    return [x + scale * y for x, y in zip(a, b, strict=True)]

  inverse = []
  for xx, xy, yy in _spread_out([(a * a, b * b) for a, b in bases], tensor):
    xx, yy = xx + ridge, yy + ridge
    inverse.append(jnp.stack([yy, -xy, xx]) / (xx * yy - xy * xy))

  residual = add(_spread_out(bases, pull), -1, gradient(bumps))
  direction = precondition(residual)
  power = dot(residual, direction)
  for _ in range(ITERATIONS):
    image = gradient(direction)
    # Of a flawless pair, such as two constant frames, nothing is left to divide.
    length = power / jnp.maximum(dot(direction, image), 1e-20)
    bumps, residual = add(bumps, length, direction), add(residual, -length, image)
    better = precondition(residual)
    power, last = dot(residual, better), power
    direction = add(better, power / jnp.maximum(last, 1e-20), direction)
  return bumps


def _apply(tensor, field):
  """The symmetric tensors (xx, xy, yy) times the vectors (x, y)."""
  xx, xy, yy = tensor
  x, y = field
  return jnp.stack([xx * x + xy * y, xy * x + yy * y])


def _field(bases, bumps):
  """B z: the motion (2, B, h, w) at the nodes."""
  return sum(_separable(b, z, a) for (a, b), z in zip(bases, bumps, strict=True))


def _spread_out(bases, field):
  """B^T f, the transpose of `_field`."""
  return [_separable(b.T, field, a.T) for a, b in bases]


@functools.lru_cache(maxsize=64)
def _bases(height: int, width: int) -> list[tuple[np.ndarray, np.ndarray]]:
  """Matrices (over columns, over rows) from bumps to nodes, the rigid motion first.

  Every node's prior variance is RIGID^2 + sum of SPACINGS / 16, the latter near 1.
  """

  def bumps(n: int, spacing: int) -> np.ndarray:
    centres = np.arange(-(-n // spacing)) * spacing + (spacing - 1) / 2
    apart = (np.arange(n)[:, None] - centres) / (0.8 * spacing)
    weights = np.exp(-0.5 * apart**2)
    weights *= spacing**0.25 / 2 / np.linalg.norm(weights, axis=1, keepdims=True)
    return weights.astype(np.float32)

  def ends(n: int) -> np.ndarray:
    at = np.linspace(0, 1, n)
    return (RIGID**0.5 * np.stack([1 - at, at], 1)).astype(np.float32)

  bases = [(bumps(width, s), bumps(height, s)) for s in SPACINGS]
  return [(ends(width), ends(height)), *bases]


@functools.lru_cache(maxsize=64)
def _blur_matrix(n: int, sigma: float, step: int) -> np.ndarray:
  """(ceil(n / step), n): Gaussian blur at the middle of every run of `step` pixels,
  weights renormalised at the border."""
  centres = np.arange(0, n, step)[:, None] + (step - 1) / 2
  weights = np.exp(-0.5 * ((centres - np.arange(n)) / sigma) ** 2)
  return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


@functools.lru_cache(maxsize=64)
def _stretch_matrix(n: int, step: int) -> np.ndarray:
  """(n, ceil(n / step)): linear interpolation between those middles."""
  centres = np.arange(0, n, step) + (step - 1) / 2
  at = np.clip(np.arange(n), centres[0], centres[-1])[:, None]
  return np.maximum(0, 1 - np.abs(at - centres) / step).astype(np.float32)


def _separable(rows, x, columns):
  """rows @ x @ columns^T on the last two axes, in full float32 on every device."""
  return jnp.einsum("ih,...hw,jw->...ij", rows, x, columns, precision="highest")


def _blur(x, sigma: float, step: int = 1):
  h, w = x.shape[-2:]
  return _separable(_blur_matrix(h, sigma, step), x, _blur_matrix(w, sigma, step))


def _stretch(x, shape, step: int):
  h, w = shape
  return _separable(_stretch_matrix(h, step), x, _stretch_matrix(w, step))


def _derivatives(x):
  """d/dx and d/dy of (..., H, W), exact for cubics; edge pixels are repeated."""

  def along(axis: int):
    size = x.shape[axis]
    pad = [(0, 0)] * x.ndim
    pad[axis] = (2, 2)
    padded = jnp.pad(x, pad, mode="edge")
    a, b, _, c, d = (
      jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(5)
    )
    return (8 * (c - b) - (d - a)) / 12

  return along(x.ndim - 1), along(x.ndim - 2)


def _jet(x):
  """(B, H * W, 6): value, x, y, xx, xy, yy of (B, H, W) images."""
  dx, dy = _derivatives(x)
  dxx, dxy = _derivatives(dx)
  _, dyy = _derivatives(dy)
  return jnp.stack([x, dx, dy, dxx, dxy, dyy], -1).reshape(len(x), -1, 6)


def _warp(jet, u, v):
  """The image at x + flow (B, H, W), by Taylor's series about the nearest pixel.

  One gather of six neighbouring numbers, where cubic interpolation takes sixteen;
  beyond the frame its border goes on.
  """
  _, h, w = u.shape
  x, y = jnp.arange(w) + u, jnp.arange(h)[:, None] + v
  column = jnp.clip(jnp.round(x), 0, w - 1)
  row = jnp.clip(jnp.round(y), 0, h - 1)
  index = (row * w + column).astype(jnp.int32).reshape(len(u), -1)
  picked = jax.vmap(lambda image, at: image[at])(jet, index).reshape(*u.shape, 6)
  s, t = jnp.clip(x - column, -0.5, 0.5), jnp.clip(y - row, -0.5, 0.5)
  value, dx, dy, dxx, dxy, dyy = jnp.moveaxis(picked, -1, 0)
  return value + dx * s + dy * t + (dxx * s * s + dyy * t * t) / 2 + dxy * s * t
