"""What the magnified branch sees of a clip: latents, or frames that were decoded."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from infusenet_jax.models import lowering, resnet
from infusenet_jax.models.magnifier import LATENT_CHANNELS, Magnifier

MAGNIFIED = ("latents", "reconstructed")


@dataclass(frozen=True)
class MagnifiedInput:
  """Magnified motion from the onset to the apex, and to the window apex.

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
    """Frames (B, H, W, 3) in [-1, 1] -> (B, *shape(H))."""
    apexes = (apex, window_apex) if self.window_apex else (apex,)
    see = _latents if self.kind == "latents" else _reconstructed
    return see(magnifier, self.amp, onset, apexes)

  def shape(self, size: int) -> tuple[int, int, int]:
    """Height, width and channels of what is seen of frames of `size` pixels."""
    pairs = 2 if self.window_apex else 1
    if self.kind == "latents":
      return size // 4, size // 4, pairs * LATENT_CHANNELS
    return size, size, pairs * 3

  def stem(
    self, width: int, *, dtype=None, rngs: nnx.Rngs
  ) -> tuple[Callable[[jax.Array], jax.Array], int]:
    """What leads to stage 1, and its input channels: latents need no stem."""
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
  first, others = decoded[: len(onset)], decoded[len(onset) :]
  return _beside(others - jnp.concatenate([first] * len(apexes)), len(apexes))


def _magnified(magnifier, amp, onset, apexes):
  """Latents of the onset, latents and magnified differences of all apexes."""
  latents = magnifier.encoder(jnp.concatenate([onset, *apexes]))
  a, b = jnp.split(latents, [len(onset)])
  return a, b, magnifier.manipulator(jnp.concatenate([a] * len(apexes)), b, amp)


def _beside(x, pairs):
  """(pairs * B, ..., C) -> (B, ..., pairs * C)."""
  return jnp.concatenate(jnp.split(x, pairs), axis=-1)


def _as_it_is(x):
  return x
