"""A learned motion magnifier, and what a classifier sees of its latents.

The shape-only variant of Oh et al., "Learning-based Video Motion Magnification"
(ECCV 2018), that InfuseNet builds on. No layer has a bias; every convolution is
reflect-padded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from infusenet_jax.models import lowering, resnet

LATENT_CHANNELS = 32
MAGNIFIED = ("latents", "reconstructed")

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


@dataclass(frozen=True)
class MagnifiedInput:
  """What a network sees of the frames: magnified motion since the onset.

  The motion is that from the onset to the apex, and that to the window apex, a second
  frame near the annotated apex.

  Attributes:
    kind: "latents" are magnified differences after ReLU and max-pool, 32 channels per
      pair of frames; nothing is decoded. "reconstructed" is what InfuseNet argues
      against: the decoded magnified frame minus the onset, 3 channels per pair. The
      onset is decoded as well, so that what the decoder alone does to a face cancels:
      a whole face would show who it is rather than how it moves.
    window_apex: whether the window apex is seen as well as the apex.
    amp: magnification factor.

  Raises:
    ValueError: kind is none of the above.
  """

  kind: str = "latents"
  window_apex: bool = True
  amp: float = 10.0

  def __post_init__(self):
    if self.kind not in MAGNIFIED:
      raise ValueError(
        f"magnified is {self.kind!r}, expected one of {', '.join(MAGNIFIED)}"
      )

  def __call__(
    self,
    magnifier: Magnifier,
    onset: jax.Array,
    apex: jax.Array,
    window_apex: jax.Array,
  ) -> jax.Array:
    """Computes what is seen, (B, *shape(H)), of frames (B, H, W, 3) in [-1, 1]."""
    apexes = (apex, window_apex) if self.window_apex else (apex,)
    see = _latents if self.kind == "latents" else _reconstructed
    return see(magnifier, self.amp, onset, apexes)

  def shape(self, size: int) -> tuple[int, int, int]:
    """Returns height, width and channels of what is seen of frames of `size` pixels."""
    pairs = 2 if self.window_apex else 1
    if self.kind == "latents":
      return size // 4, size // 4, pairs * LATENT_CHANNELS
    return size, size, pairs * 3

  def stem(
    self, width: int, *, dtype=None, rngs: nnx.Rngs
  ) -> tuple[Callable[[jax.Array], jax.Array], int]:
    """Makes what comes before stage 1 and returns it with stage 1's input channels.

    Latents need no stem and pass as they are; reconstructed frames need ResNet's.
    """
    *_, channels = self.shape(4)
    if self.kind == "latents":
      return _as_it_is, channels
    return resnet.Stem(width, channels, dtype=dtype, rngs=rngs), width


def _latents(magnifier, amp, onset, apexes):
  _, _, d = _magnified(magnifier, amp, onset, apexes)
  return lowering.max_pool(nnx.relu(_beside(d, len(apexes))))


def _reconstructed(magnifier, amp, onset, apexes):
  a, b, d = _magnified(magnifier, amp, onset, apexes)
  decoded = magnifier.decoder(jnp.concatenate([a, b + d]))
  first, others = decoded[: onset.shape[0]], decoded[onset.shape[0] :]
  return _beside(others - jnp.concatenate([first] * len(apexes)), len(apexes))


def _magnified(magnifier, amp, onset, apexes):
  """Computes latents of the onset, then latents and differences of all apexes."""
  latents = magnifier.encoder(jnp.concatenate([onset, *apexes]))
  a, b = latents[: onset.shape[0]], latents[onset.shape[0] :]
  return a, b, magnifier.manipulator(jnp.concatenate([a] * len(apexes)), b, amp)


def _beside(x, pairs):
  """Moves pairs of frames from the batch to the channels.

  (pairs * B, ..., C) -> (B, ..., pairs * C).
  """
  return jnp.concatenate(jnp.split(x, pairs), axis=-1)


def _as_it_is(x):
  return x
