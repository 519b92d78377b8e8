"""Infusion: the flow branch gates the magnified branch to where the face moved."""

import math
from collections.abc import Iterable

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

GATES = ("clip", "batch")


class FlowContextGate(nnx.Module):
  """Turns flow features into a factor in [0, 1]: g(x) = (x - min x) / (max x - min x).

  Args:
    over: "clip" takes minimum and maximum over each clip's tensor, so that no
      prediction depends on the other clips of its batch; "batch" takes them over
      the whole batch, as the published network does.
    detached: whether the features are constants to the gate in training, so that what
      is gated teaches them nothing. Published: it does.

  A tensor without contrast shows no motion anywhere: its gate is 0 (published:
  0/0), with zero gradients.
  """

  def __init__(self, over: str = "clip", *, detached: bool = False):
    if over not in GATES:
      raise ValueError(f"gate is {over!r}, expected one of {', '.join(GATES)}")
    self.over, self.detached = over, detached
    self.deterministic = False  # What `train()` and `eval()` set, as of dropout.

  def __call__(self, x: jax.Array) -> jax.Array:
    """Computes the gate of features (B, ..., C), shaped alike, float32 or wider."""
    if self.detached and not self.deterministic:
      x = jax.lax.stop_gradient(x)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    axes = tuple(range(0 if self.over == "batch" else 1, x.ndim))
    low = jnp.min(x, axes, keepdims=True)
    high = jnp.max(x, axes, keepdims=True)
    span = high - low
    # Below this the difference of two features is their rounding error.
    contrast = span > 1e-6 * jnp.maximum(jnp.abs(low), jnp.abs(high)) + 1e-30
    return jnp.where(contrast, (x - low) / jnp.where(contrast, span, 1.0), 0.0)


class PublishedInfusion(nnx.Module):
  """y = g * x: the published infusion multiplies the features x by the gate g."""

  def rotation(self) -> None:
    """Returns None: this infusion has no rotation."""

  def __call__(self, x: jax.Array, gate: jax.Array, rotation=None) -> jax.Array:
    return (gate * x).astype(x.dtype)


class NoInfusion(nnx.Module):
  """y = x: the features pass through."""

  def rotation(self) -> None:
    """Returns None: this infusion has no rotation."""

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
    """Computes Q, (C, C), from the parameters alone: at inference compute it once."""
    return cayley(skew(self.triangle[...]))

  def __call__(
    self, x: jax.Array, gate: jax.Array, rotation: jax.Array | None = None
  ) -> jax.Array:
    """Computes the infused features of features (B, ..., C) and a gate, shaped alike.

    `rotation` is what `rotation()` returned; it is computed here if left out.
    """
    q = self.rotation() if rotation is None else rotation
    return _product(gate * _product(x, q.T), q).astype(x.dtype)


def skew(triangle: jax.Array) -> jax.Array:
  """Unfolds a triangle, kept as (C/2, C-1), into a skew-symmetric (C, C) matrix.

  Row i of the upper triangle has C-1-i entries and row C-1-i has i, so the two
  share one row of the rectangle. Unfolding takes two copies and a mask, where
  indexing would compile to a scatter, which accelerators run serially.
  """
  top = jnp.pad(triangle, ((0, 0), (1, 0)))
  bottom = jnp.flip(jnp.pad(triangle, ((0, 0), (0, 1))))
  upper = jnp.triu(jnp.concatenate([top, bottom]), 1)
  return upper - upper.T


def rotations_of(infusions: Iterable[nnx.Module]) -> tuple[jax.Array | None, ...]:
  """Computes every infusion's `rotation()`, those of one size in the same products.

  A GPU or TPU multiplies two matrices of 512 x 512 in little more than the time of one.
  """
  infusions = tuple(infusions)
  places: dict[tuple[int, ...], list[int]] = {}
  for place, infusion in enumerate(infusions):
    if isinstance(infusion, UnitaryInfusion):
      places.setdefault(infusion.triangle.shape, []).append(place)
  found: list[jax.Array | None] = [None] * len(infusions)
  for same_size in places.values():
    a = jnp.stack([skew(infusions[place].triangle[...]) for place in same_size])
    for place, q in zip(same_size, cayley(a), strict=True):
      found[place] = q
  return tuple(found)


@jax.custom_jvp
def cayley(a: jax.Array) -> jax.Array:
  """Computes Q = (I - A)(I + A)^{-1} of skew-symmetric A (..., C, C) by products alone.

  M = I - A is normal, so its polar factor U = M (M^T M)^{-1/2} satisfies U^2 = Q. M's
  singular values are at least 1, and with b = sqrt(||M^T M||_1) >= ||M|| those of M / b
  lie in [l, 1], l = 1 / b. A turn V = c U, U <- V + V (I - V^T V) / 2 (Newton-Schulz)
  takes each of them, s, to p(c s) with p(x) = x (3 - x^2) / 2. For
  c^2 = 3 / (1 + l + l^2) both ends of [l, 1] go to the new l = p(c l), and what lies
  between them goes no higher than p's maximum, 1: all are in the new [l, 1] (Chen,
  Chow: "A stable scaling of Newton-Schulz", 2014). So l, a scalar, tells how near U is
  to orthogonal, and U itself need not be looked at.

  From this follows the number of turns that suffices for every ||A|| <= 1e3, where l
  starts from C^{-1/4} / sqrt(1 + 1e6) at the least: 12 at 512 channels in float32. GPUs
  and TPUs make all of them, since a loop on a GPU that asks whether it is done waits
  for the host at every turn. A CPU stops as soon as l is near enough to 1: no turn at A
  = 0, 4 at ||A|| = 1. Beyond 1e3 U may be left short of orthogonal, with singular
  values below 1: a contraction, so that infusion still makes no pixel's norm longer.

  One more step on U^2, where A = 0 gives exactly I, leaves |Q^T Q - I| <= 3e-6 at 512
  channels in float32; a linear solve's error grows with ||A||, to 2e-5 at 1e3.

  Why not `solve`: a TPU has no LU hardware and works through 512 columns one after
  the other, and a GPU's factorisation is latency-bound too, while matrix products
  are what CPU, GPU and TPU all do best. The derivative needs no solve either:
  (I + A)^{-1} = (I + Q) / 2, hence dQ = -(I + Q) dA (I + Q) / 2. Precision is set
  explicitly, since TF32 and bfloat16 passes keep 3 digits of orthogonality.
  """
  eye = jnp.eye(a.shape[-1], dtype=a.dtype)
  m = eye - a
  gram = jnp.abs(_product(m.mT, m))
  bound = jnp.sqrt(jnp.max(jnp.sum(gram, -1, keepdims=True), -2, keepdims=True))
  start = (m / bound, 1 / bound)
  near, turns = _near(a.dtype), turns_needed(a.shape[-1], a.dtype)

  def turn(u, low):
    scale = _scale(low)
    u, low = scale * u, _cubic(scale * low)
    return u + _product(u, (eye - _product(u.mT, u)) / 2), low

  def every_turn(u, low):
    for _ in range(turns):
      u, low = turn(u, low)
    return u

  def turns_until_near(u, low):
    unfinished = lambda carry: (jnp.min(carry[1]) < near) & (carry[2] < turns)  # noqa: E731
    step = lambda carry: (*turn(*carry[:2]), carry[2] + 1)  # noqa: E731
    return lax.while_loop(unfinished, step, (u, low, jnp.int32(0)))[0]

  u = lax.platform_dependent(*start, cpu=turns_until_near, default=every_turn)
  q = _product(u, u)
  # Q^T Q is summed in four parts: in one long sum, terms much smaller than an entry
  # near 1 would be rounded away.
  parts = jnp.split(q, math.gcd(a.shape[-1], 4), axis=-2)
  return q + _product(q, (eye - sum(_product(part.mT, part) for part in parts)) / 2)


def turns_needed(channels: int, dtype: jnp.dtype, norm: float = 1e3) -> int:
  """Counts the turns of `cayley` that suffice for every A with ||A|| <= `norm`."""
  # ||S||_1 <= sqrt(C) ||S|| for a symmetric S, hence the fourth root.
  low, turns = channels**-0.25 / math.sqrt(1 + norm**2), 0
  while low < _near(dtype):
    low, turns = _cubic(_scale(low) * low), turns + 1
  return turns


def _near(dtype: jnp.dtype) -> float:
  """How small singular values may be before the last step, which squares the error."""
  return 1 - float(jnp.finfo(dtype).eps) ** 0.5


def _scale(low):
  return (3 / (1 + low + low * low)) ** 0.5


def _cubic(x):
  return x * (3 - x * x) / 2


@cayley.defjvp
def _cayley_jvp(primals, tangents):
  (a,), (da,) = primals, tangents
  q = cayley(a)
  p = jnp.eye(a.shape[-1], dtype=a.dtype) + q
  return q, -_product(_product(p, da), p) / 2


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
  return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)
