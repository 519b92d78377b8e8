"""Optical flow that changes of brightness do not disturb.

Between the onset and the apex of a micro-expression skin moves by a fraction of a
pixel, so that a flicker of the light or the camera's automatic gain changes the grey
values more than the motion does. Here brightness is part of the model:

  second(x + w(x)) = (1 + gain(x)) first(x) + offset(x) + noise

(the generalised dynamic image model of Negahdaripour, IEEE PAMI 20(9), 1998). Gain
and offset are solved for in a window around each pixel and taken out; the motion w is
what is most probable given what remains, with a Gaussian prior: w is a sum of smooth
bumps on grids of 4, 8, 16 and 32 pixels, the wider the stronger, plus a free shift of
the whole head. So texture decides how finely the motion is resolved, pixel
by pixel, and no window has to be chosen for it. The strengths of the noise and of
the motion, which weigh data against prior, are estimated from each pair. Pixels that
no motion explains (a blink, a reflex, what has left the frame) get a low weight.

All of it is computed by products with small constant matrices and one gather per warp.
"""

import jax
import jax.numpy as jnp

from infusenet_jax.clips.flow.filters import (
  blur,
  bumps_to_nodes,
  derivatives,
  jet,
  separable,
  stretch,
  warp,
)

LEVELS = 3  # of the pyramid; the coarsest has a quarter of the resolution.
WARPS = 2  # of the second frame, per level.
ITERATIONS = 4  # of conjugate gradients per warp, started from the last solution.
PREFILTER = 0.7  # sigma of the blur of both frames before they are compared, pixels.
LIGHT_WINDOW = 8.0  # sigma of the window in which gain and offset are constant.
FLAT = 4.0  # grey levels squared: below this variance a window hardly shows its gain.
STEP = 4  # pixels between the nodes at which the motion is solved.
NODE_WINDOW = 2.4  # sigma of the window that gathers the pixels of a node.
SPACINGS = (1, 2, 4, 8)  # of the bumps, in nodes.
RIGID = 10.0  # how much larger than the other motion the shift of the head may be.
FIRST_SPREAD = 0.3  # pixels of the coarsest level: the motion expected at first.
LEAST_SPREAD = 0.05  # pixels: the prior gets no tighter than this.
ROUNDING = 1 / 6  # variance of the difference of two frames rounded to 8 bits.
OUTLIER = 3.0  # standard deviations: a change as large as this has a trust of 1/4.
MISSED = 0.3  # pixels of motion that may still be unknown without lowering the trust.


@jax.jit
def optical_flow(first: jax.Array, second: jax.Array) -> jax.Array:
  """Computes dense optical flow between grey frames, whatever the brightness does.

  Compiled once per shape; the pairs of a batch do not affect each other.

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
    pyramid.append(tuple(blur(frame, 1.0, 2) for frame in pyramid[-1]))
  trust = jnp.ones_like(pyramid[-1][0])
  flow = jnp.zeros((2, *trust.shape))
  spread = jnp.full((len(trust), 1, 1), FIRST_SPREAD**2)
  for first, second in reversed(pyramid):
    shape = first.shape[1:]
    if trust.shape[1:] != shape:
      flow, spread = 2 * stretch(flow, shape, 2), 4 * spread
      trust = stretch(trust, shape, 2)
    flow, spread, trust = _refine(first, second, flow, spread, trust)
  return jnp.moveaxis(flow, 0, -1)


def _refine(first, second, flow, spread, trust):
  """Warps and solves at one level: improves flow, spread and trust and returns them.

  flow is (2, B, H, W); spread (B, 1, 1) the mean square of its non-rigid part; trust
  (B, H, W) in [0, 1] how far each pixel follows the model.
  """
  shape = first.shape[1:]
  first, second = blur(first, PREFILTER), jet(blur(second, PREFILTER))
  bases = bumps_to_nodes(tuple(-(-n // STEP) for n in shape), SPACINGS, RIGID)

  def improve(_, state):
    flow, spread, trust, bumps = state
    tensor, pull, noise, trust = _evidence(first, *warp(second, *flow), trust)
    pull = pull + _apply(tensor, blur(flow, NODE_WINDOW, STEP))
    ridge = noise / (spread + LEAST_SPREAD**2)
    # The shift of the head is solved for first. Otherwise the bumps would take it over,
    # and the motion would seem stronger than it is.
    rest = pull - _apply(tensor, _field(bases[1:], bumps[1:]))
    bumps[:1] = _solve(tensor, rest, ridge, bases[:1], bumps[:1])
    bumps = _solve(tensor, pull, ridge, bases, bumps)
    rigid, loose = _field(bases[:1], bumps[:1]), _field(bases[1:], bumps[1:])
    spread = (loose**2).sum(0).mean((-2, -1), keepdims=True)
    return stretch(rigid + loose, shape, STEP), spread, trust, bumps

  bumps = [jnp.zeros((2, len(first), y.shape[1], x.shape[1])) for y, x in bases]
  state = flow, spread, trust, bumps
  return jax.lax.fori_loop(0, WARPS, improve, state)[:3]


def _evidence(first, warped, inside, trust):
  """Sums up what a pair of frames tells about the remaining motion, light taken out.

  Args:
    first, warped: (B, H, W) the frames, the second one warped back by the flow.
    inside: (B, H, W) whether the second frame shows what `warped` has there.
    trust: (B, H, W) of each pixel, from the last warp.

  Returns:
    Per node the tensor (xx, xy, yy) of the gradient and its product (x, y) with the
    difference, summed over the node's pixels; the noise of the pair, as the variance
    of the difference of two raw pixels; and the trust for the next warp.
  """
  # Gradients are taken from the mean of both frames: its noise is independent of that
  # of their difference, so that it does not pull the motion towards zero.
  grey = blur((first + warped) / 2, PREFILTER)
  signals = jnp.stack([*derivatives(grey), first - warped])
  # Regress each signal on the grey value in a window: the slope is the gain, the
  # constant the offset, and the residual depends on neither.
  trust = trust * inside
  window = jnp.stack([jnp.ones_like(grey), grey, grey * grey])
  window = jnp.concatenate([window, signals, signals * grey])
  window = blur(trust * window, LIGHT_WINDOW, STEP)
  mean_grey, mean_square, *window = window[1:] / jnp.maximum(window[0], 1e-3)
  mean = jnp.stack(window[:3])
  slope = jnp.stack(window[3:]) - mean * mean_grey
  slope /= mean_square - mean_grey**2 + FLAT
  light = jnp.concatenate([mean - slope * mean_grey, slope])
  light = stretch(light, grey.shape[1:], STEP)
  dx, dy, change = signals - light[:3] - light[3:] * grey
  # sigma = sqrt(pi / 2) E|change| holds for normal noise; outliers affect it less than
  # the mean square.
  size = (trust * jnp.abs(change)).mean((-2, -1), keepdims=True)
  size = size / jnp.maximum(trust.mean((-2, -1), keepdims=True), 1e-3)
  noise = jnp.pi / 2 * size**2 + 0.01
  expected = OUTLIER**2 * (noise + MISSED**2 * (dx * dx + dy * dy))
  trust = (expected / (expected + change**2)) ** 2 * inside  # Geman and McClure's.
  products = jnp.stack([dx * dx, dx * dy, dy * dy, dx * change, dy * change])
  products = STEP**2 * blur(trust * products, NODE_WINDOW, STEP)
  # The prefilter leaves 1 / (4 pi sigma^2) of the variance of white noise.
  noise = 4 * jnp.pi * PREFILTER**2 * noise + ROUNDING
  return products[:3], products[3:], noise, trust


def _solve(tensor, pull, ridge, bases, bumps):
  """Finds by conjugate gradients the bumps z that minimise the negative log posterior

    z^T B^T T B z / 2 - z^T B^T pull + ridge |z|^2 / 2,

  preconditioned by the 2 x 2 blocks of its diagonal. Bumps of several widths make
  the problem so well-conditioned (as in the preconditioner of Bramble, Pasciak and
  Xu, Math. Comp. 55, 1990) that a few iterations from the last solution suffice.
  """

  def gradient(bumps):
    parts = _gather(bases, _apply(tensor, _field(bases, bumps)))
    return [part + ridge * z for part, z in zip(parts, bumps, strict=True)]

  def precondition(residual):
    return [_apply(t, r) for t, r in zip(inverse, residual, strict=True)]

  def dot(a, b):
    return sum((x * y).sum((0, 2, 3)) for x, y in zip(a, b, strict=True))[:, None, None]

  def add(a, scale, b):
    return [x + scale * y for x, y in zip(a, b, strict=True)]

  inverse = []
  for xx, xy, yy in _gather([(y * y, x * x) for y, x in bases], tensor):
    xx, yy = xx + ridge, yy + ridge
    inverse.append(jnp.stack([yy, -xy, xx]) / (xx * yy - xy * xy))

  residual = add(_gather(bases, pull), -1, gradient(bumps))
  direction = precondition(residual)
  power = dot(residual, direction)

  def iterate(_, state):
    bumps, residual, direction, power = state
    image = gradient(direction)
    # A pair without texture or change starts at its solution, where both are 0.
    length = power / jnp.maximum(dot(direction, image), 1e-20)
    bumps, residual = add(bumps, length, direction), add(residual, -length, image)
    better = precondition(residual)
    last, power = power, dot(residual, better)
    direction = add(better, power / jnp.maximum(last, 1e-20), direction)
    return bumps, residual, direction, power

  state = bumps, residual, direction, power
  return jax.lax.fori_loop(0, ITERATIONS, iterate, state)[0]


def _apply(tensor, field):
  """Multiplies the symmetric tensors (xx, xy, yy) with the vectors (x, y)."""
  xx, xy, yy = tensor
  x, y = field
  return jnp.stack([xx * x + xy * y, xy * x + yy * y])


def _field(bases, bumps):
  """Computes B z, the motion (2, B, h, w) at the nodes, from the bumps z."""
  return sum(separable(y, z, x) for (y, x), z in zip(bases, bumps, strict=True))


def _gather(bases, field):
  """Computes B^T f, the transpose of `_field`: one array per basis."""
  return [separable(y.T, field, x.T) for y, x in bases]
