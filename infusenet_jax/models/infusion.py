"""How the flow branch tells the magnified branch where the face really moved."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

GATES = ("clip", "batch")


class FlowContextGate(nnx.Module):
  """Flow features -> a factor in [0, 1]: g(x) = (x - min x) / (max x - min x).

  Args:
    over: "clip" takes minimum and maximum over each clip's tensor, so that no
      prediction depends on the other clips of its batch; "batch" takes them over
      the whole batch, as the published network does.

  A tensor without contrast shows no motion anywhere: its gate is 0 (published:
  0/0), with zero gradients.
  """

  def __init__(self, over: str = "clip"):
    if over not in GATES:
      raise ValueError(f"gate is {over!r}, expected one of {', '.join(GATES)}")
    self.over = over

  def __call__(self, x: jax.Array) -> jax.Array:
    """(B, ..., C) -> the same shape, float32 or wider."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    axes = tuple(range(0 if self.over == "batch" else 1, x.ndim))
    low = jnp.min(x, axes, keepdims=True)
    high = jnp.max(x, axes, keepdims=True)
    span = high - low
    # Below this the difference of two features is their rounding error.
    contrast = span > 1e-6 * jnp.maximum(jnp.abs(low), jnp.abs(high)) + 1e-30
    return jnp.where(contrast, (x - low) / jnp.where(contrast, span, 1.0), 0.0)


class PublishedInfusion(nnx.Module):
  """y = g * x."""

  def rotation(self) -> None:
    """There is none."""

  def __call__(self, x: jax.Array, gate: jax.Array, rotation=None) -> jax.Array:
    return (gate * x).astype(x.dtype)


class NoInfusion(nnx.Module):
  """y = x: the features pass through."""

  def rotation(self) -> None:
    """There is none."""

  def __call__(self, x: jax.Array, gate: jax.Array, rotation=None) -> jax.Array:
    return x


class UnitaryInfusion(nnx.Module):
  """Gates features in a learned orthonormal basis: y = Q^T (g * (Q x)).

  Q = (I - A)(I + A)^{-1} with A skew-symmetric (Cayley), so Q^T Q = I, and with
  0 <= g <= 1 every pixel's norm can only shrink: ||y|| <= ||x||. A starts at 0,
  where y = g * x is the published infusion, bit for bit.

  Args:
    features: channels C, even.

  Attributes:
    triangle: (C / 2, C - 1), the strict triangle of A folded into a rectangle.
  """

  def __init__(self, features: int):
    if features % 2:
      raise ValueError(f"unitary infusion needs an even channel count, got {features}")
    self.triangle = nnx.Param(jnp.zeros((features // 2, features - 1)))

  def rotation(self) -> jax.Array:
    """Q, (C, C). Of the parameters alone: at inference compute it once."""
    return cayley(skew(self.triangle[...]))

  def __call__(
    self, x: jax.Array, gate: jax.Array, rotation: jax.Array | None = None
  ) -> jax.Array:
    """(B, ..., C) features and their gate -> infused features, shaped alike.

    `rotation` is what `rotation()` returned, where it has been computed before.
    """
    q = self.rotation() if rotation is None else rotation
    return _product(gate * _product(x, q.T), q).astype(x.dtype)


def skew(triangle: jax.Array) -> jax.Array:
  """The skew-symmetric (C, C) matrix whose strict triangle is folded in (C/2, C-1).

  Row i of the upper triangle has C-1-i entries and row C-1-i has i, so the two
  share one row of the rectangle. Unfolding takes two copies and a mask, where
  indexing would compile to a scatter, which accelerators run serially.
  """
  top = jnp.pad(triangle, ((0, 0), (1, 0)))
  bottom = jnp.flip(jnp.pad(triangle, ((0, 0), (0, 1))))
  upper = jnp.triu(jnp.concatenate([top, bottom]), 1)
  return upper - upper.T


@jax.custom_jvp
def cayley(a: jax.Array) -> jax.Array:
  """Q = (I - A)(I + A)^{-1} of a skew-symmetric A (C, C), by matrix products alone.

  I - A is normal, so its polar factor U = (I - A)(I - A^2)^{-1/2} satisfies U^2 = Q,
  and Newton-Schulz steps U <- U + U (I - U^T U) / 2 find U. One more such step on U^2
  leaves Q^T Q = I to 3e-6 at 512 channels in float32, up to ||A|| = 1e4 and more; a
  linear solve's error grows with ||A||, to 2e-5 at 1e3. Steps at 512 channels: 1 at
  A = 0 (where Q is exactly I), 5 at ||A|| = 1, 19 at 1e3.

  Why not `solve`: a TPU has no LU hardware and works through 512 columns one after
  the other, and a GPU's factorisation is latency-bound too, while matrix products
  are what CPU, GPU and TPU all do best. The derivative needs no solve either:
  (I + A)^{-1} = (I + Q) / 2, hence dQ = -(I + Q) dA (I + Q) / 2. Precision is set
  explicitly, since TF32 and bfloat16 passes keep 3 digits of orthogonality.
  """
  m = jnp.eye(a.shape[0], dtype=a.dtype) - a
  # sqrt(||M^T M||_1) bounds M's singular values, all of them at least 1; the steps
  # converge from below sqrt(3).
  bound = jnp.sqrt(jnp.max(jnp.sum(jnp.abs(_product(m.T, m)), 0)))
  scale = jnp.maximum(bound / 2**0.5, 1)
  # A step squares the error, and the last one, taken on U^2, squares it once more.
  near = jnp.finfo(a.dtype).eps ** 0.5

  def unfinished(carry):
    _, error, steps = carry
    return (error > near) & (steps < 60)

  def step(carry):
    u, _, steps = carry
    return *_newton_schulz(u), steps + 1

  start = (m / scale, jnp.asarray(jnp.inf, a.dtype), jnp.int32(0))
  u, _, _ = lax.while_loop(unfinished, step, start)
  return _newton_schulz(_product(u, u))[0]


def _newton_schulz(u: jax.Array) -> tuple[jax.Array, jax.Array]:
  """A step towards the nearest orthogonal matrix; how far `u` was from one.

  As a correction of u, it rounds off less than u (3 I - u^T u) / 2 does.
  """
  rest = jnp.eye(u.shape[0], dtype=u.dtype) - _product(u.T, u)
  return u + _product(u, rest / 2), jnp.max(jnp.abs(rest))


@cayley.defjvp
def _cayley_jvp(primals, tangents):
  (a,), (da,) = primals, tangents
  q = cayley(a)
  p = jnp.eye(a.shape[0], dtype=a.dtype) + q
  return q, -_product(_product(p, da), p) / 2


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
  return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)
