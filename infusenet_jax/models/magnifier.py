"""A learned motion magnifier.

The shape-only variant of Oh et al., "Learning-based Video Motion Magnification"
(ECCV 2018), that InfuseNet builds on. No layer has a bias; every convolution is
reflect-padded.
"""

from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from infusenet_jax.models import lowering

LATENT_CHANNELS = 32

# PyTorch's default for convolutions: U(-b, b) with b = 1 / sqrt(fan in).
_torch_uniform = nnx.initializers.variance_scaling(1 / 3, "fan_in", "uniform")

Conv = partial(
  nnx.Conv,
  use_bias=False,
  padding="REFLECT",
  kernel_init=_torch_uniform,
  conv_general_dilated=lowering.conv,
)


class ResidualBlock(nnx.Module):
  """x + conv3x3(ReLU(conv3x3(x))), with no ReLU after the sum."""

  def __init__(self, features: int, *, dtype=None, rngs: nnx.Rngs):
    self.conv1 = Conv(features, features, (3, 3), dtype=dtype, rngs=rngs)
    self.conv2 = Conv(features, features, (3, 3), dtype=dtype, rngs=rngs)

  def __call__(self, x: jax.Array) -> jax.Array:
    return x + self.conv2(nnx.relu(self.conv1(x)))


def _blocks(count: int, *, dtype, rngs: nnx.Rngs) -> nnx.Sequential:
  return nnx.Sequential(
    *(ResidualBlock(LATENT_CHANNELS, dtype=dtype, rngs=rngs) for _ in range(count))
  )


class Encoder(nnx.Module):
  """Encodes a frame (B, H, W, 3) in [-1, 1] as its shape latent (B, H/2, W/2, 32)."""

  def __init__(self, *, dtype=None, rngs: nnx.Rngs):
    self.conv1 = Conv(3, 16, (7, 7), dtype=dtype, rngs=rngs)
    self.conv2 = Conv(16, 32, (3, 3), strides=(2, 2), dtype=dtype, rngs=rngs)
    self.resblks = _blocks(3, dtype=dtype, rngs=rngs)
    self.conv1_shape = Conv(32, 32, (3, 3), dtype=dtype, rngs=rngs)
    self.resblks_shape = _blocks(2, dtype=dtype, rngs=rngs)

  def __call__(self, frame: jax.Array) -> jax.Array:
    x = nnx.relu(self.conv1(frame))
    x = nnx.relu(self.conv2(x))
    x = self.resblks(x)
    x = nnx.relu(self.conv1_shape(x))
    return self.resblks_shape(x)


class Manipulator(nnx.Module):
  """Computes the magnified difference of the latents of two frames.

  d = res(conv3x3((amp - 1) * ReLU(conv7x7(b - a)))), with res a `ResidualBlock`; b + d
  approximates the latent of a frame with `amp` times the motion.
  """

  def __init__(self, *, dtype=None, rngs: nnx.Rngs):
    self.before = Conv(32, 32, (7, 7), dtype=dtype, rngs=rngs)
    self.after = Conv(32, 32, (3, 3), dtype=dtype, rngs=rngs)
    self.resblks = _blocks(1, dtype=dtype, rngs=rngs)

  def __call__(self, a: jax.Array, b: jax.Array, amp) -> jax.Array:
    """Computes d, shaped as a and b, (B, h, w, 32); `amp` is broadcast to them."""
    d = nnx.relu(self.before(b - a))
    return self.resblks(self.after(d * (amp - 1)))


class Decoder(nnx.Module):
  """Decodes a latent (B, h, w, 32) as a frame (B, 2h, 2w, 3), about in [-1, 1]."""

  def __init__(self, *, dtype=None, rngs: nnx.Rngs):
    self.resblks = _blocks(9, dtype=dtype, rngs=rngs)
    self.conv1 = Conv(32, 32, (3, 3), dtype=dtype, rngs=rngs)
    self.conv2 = Conv(32, 3, (7, 7), dtype=dtype, rngs=rngs)

  def __call__(self, latent: jax.Array) -> jax.Array:
    x = self.resblks(latent)
    x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
    return self.conv2(nnx.relu(self.conv1(x)))


class Magnifier(nnx.Module):
  """Encoder, manipulator and decoder; InfuseNet uses the first two and never decodes.

  Args:
    dtype: of the computation; parameters are float32. None follows the inputs.
    rngs: initialises the parameters.
  """

  def __init__(self, *, dtype=None, rngs: nnx.Rngs):
    self.encoder = Encoder(dtype=dtype, rngs=rngs)
    self.manipulator = Manipulator(dtype=dtype, rngs=rngs)
    self.decoder = Decoder(dtype=dtype, rngs=rngs)

  def __call__(self, first: jax.Array, second: jax.Array, amp=10.0) -> jax.Array:
    """Magnifies `amp` times what has moved in the second frame since the first.

    Args:
      first, second: (B, H, W, 3) in [-1, 1], H and W even.
      amp: a number, or (B,) for one per pair.

    Returns:
      The magnified frame, (B, H, W, 3).
    """
    a, b = jnp.split(self.encoder(jnp.concatenate([first, second])), 2)
    amp = jnp.reshape(jnp.asarray(amp, a.dtype), (-1, 1, 1, 1))
    return self.decoder(b + self.manipulator(a, b, amp))
